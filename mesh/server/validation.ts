/** Messages against the rules of their contract (protovalidate), and what an answer says of those that are broken. */
import { create, type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { type FieldViolation, internal, invalidArgument } from "../errors.ts";

/** So many mistakes of a message are told: they travel in the answer's headers, which a client does not take at any length. */
const mostTold = 20;

/** Holds messages to their rules. Rules are compiled at the first message of a type, and kept. */
export class Validation {
  readonly #validator = createValidator();

  /**
   * Compiles the rules of `schema` now, so that one that cannot be stops the process at boot.
   *
   * @throws Error naming the message type whose rules do not compile.
   */
  prepare(schema: DescMessage): void {
    const { kind, error } = this.#validator.validate(schema, create(schema));
    if (kind === "error" && error.name === "CompilationError") {
      throw new Error(`the validation rules of ${schema.typeName} do not compile: ${error.message}`, { cause: error });
    }
  }

  /** `message`, when it keeps the rules. @throws INVALID_ARGUMENT naming each field that does not. */
  checked<I extends DescMessage>(schema: I, message: MessageShape<I>): MessageShape<I> {
    const result = this.#validator.validate(schema, message);
    if (result.kind === "valid") return message;
    if (result.kind === "error") throw internal(result.error);
    throw invalidArgument(result.violations.slice(0, mostTold).map((violation) => describe(schema, violation)));
  }
}

function describe(schema: DescMessage, violation: Violation): FieldViolation {
  const { message, ruleId } = violation;
  return { field: fieldOf(schema, violation), description: message === "" ? ruleId : message };
}

/**
 * The path of the field that a rule was broken for. A rule of our own (CEL) stands at a message when it looks at several
 * fields, and names by its id the one that must change: `recipient.email` is about the field recipient, `template.body` about
 * the body of the field template. An id that begins with no field adds nothing.
 */
function fieldOf(schema: DescMessage, { field, rule, ruleId }: Violation): string {
  const [first] = rule;
  const last = field.at(-1);
  const names = ruleId.split(".");
  if (first === undefined && ruleId !== "message.oneof") {
    const holder = field.findLast((part): part is DescField => part.kind === "field");
    const base = last === undefined ? schema : holder?.message;
    return joined(pathToString(field), base === undefined ? [] : knownFields(base, names));
  }
  const ownRule = first?.kind === "field" && first.name.startsWith("cel");
  if (ownRule && last?.kind === "field" && last.name === names[0]) {
    return joined(pathToString(field.slice(0, -1)), knownFields(last.parent, names));
  }
  return pathToString(field);
}

/** As many of `names` as lead from field to field, beginning in `message`. */
function knownFields(message: DescMessage, names: readonly string[]): readonly string[] {
  const [name, ...rest] = names;
  const field = message.fields.find((one) => one.name === name);
  if (field === undefined) return [];
  return [field.name, ...(field.fieldKind === "message" ? knownFields(field.message, rest) : [])];
}

function joined(path: string, names: readonly string[]): string {
  return [path, ...names].filter((part) => part !== "").join(".");
}
