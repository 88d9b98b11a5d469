/** Why data cannot be analysed. It crosses from a worker thread as plain data. */

/** A field of the request that is wrong, or data that cannot answer the question. */
export type RefusalCause =
  | { readonly kind: "field"; readonly field: string; readonly description: string }
  | { readonly kind: "data"; readonly reason: "TOO_FEW_VALUES" | "NO_VARIATION" | "NOT_BALANCED"; readonly message: string };

/** Thrown by the analyses; the handlers make INVALID_ARGUMENT or FAILED_PRECONDITION of it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly refused: RefusalCause;

  constructor(refused: RefusalCause) {
    super(refused.kind === "field" ? `${refused.field}: ${refused.description}` : refused.message);
    this.refused = refused;
  }
}

/** A field of the request that is wrong. */
export function wrongField(field: string, description: string): Refusal {
  return new Refusal({ kind: "field", field, description });
}

/** There are `got` values of `what` where `least` are needed. */
export function tooFew(what: string, least: number, got: number): Refusal {
  return new Refusal({
    kind: "data",
    reason: "TOO_FEW_VALUES",
    message: `${what}: expected at least ${least} values, got ${got}`,
  });
}

/** Values are all the same where the question is how they differ. */
export function noVariation(what: string): Refusal {
  return new Refusal({ kind: "data", reason: "NO_VARIATION", message: `${what}: expected values that differ, got the same` });
}
