/** The mistakes of one request, gathered so that one answer names them all. */
import { type FieldViolation, invalidArgument } from "#mesh/errors.ts";

/** How many mistakes an answer names; a body of nothing but mistakes must not make an answer of its size. */
const limit = 20;

/** Gathers field violations. */
export class Violations {
  readonly #found: FieldViolation[] = [];

  /** Notes a mistake at a field path; the empty path is the request itself. */
  add(field: string, description: string): void {
    if (this.#found.length < limit) this.#found.push({ field: field.slice(0, 200), description });
  }

  /** Notes `expected X, got Y`. Answers undefined, so that a reader can return it. */
  expected(field: string, expected: string, got: string): undefined {
    this.add(field, `expected ${expected}, got ${got}`);
  }

  /**
   * @throws INVALID_ARGUMENT with a google.rpc.BadRequest when there was any mistake.
   */
  throwIfAny(): void {
    if (this.#found.length > 0) throw invalidArgument(this.#found);
  }
}
