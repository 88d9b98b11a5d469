/** The messages and enums of contracts as JSON Schema: each once, under its full name, as a component that others refer to. */
import { type DescEnum, type DescField, type DescMessage, type DescOneof, getOption, hasOption } from "@bufbuild/protobuf";
import { message as messageRules, oneof as oneofRules } from "#gen/buf/validate/validate_pb.ts";
import { commentOf } from "./comments.ts";
import { applyRules, mustBeGiven, rulesOf } from "./rules.ts";
import { described, type Schema } from "./schema.ts";
import { scalarSchema, wellKnownSchema } from "./well-known-schema.ts";

/** Collects components as they are referred to. */
export class Schemas {
  readonly #components = new Map<string, Schema>();

  /** The components so far, by name, sorted. */
  get components(): Record<string, Schema> {
    return Object.fromEntries([...this.#components].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Adds a component of the gateway's own. */
  add(name: string, schema: Schema): Schema {
    this.#components.set(name, schema);
    return refTo(name);
  }

  /** A message: a reference, or the schema itself of a type with a JSON form of its own. */
  message(type: DescMessage): Schema {
    const own = wellKnownSchema(type);
    if (own !== undefined) return own;
    if (!this.#components.has(type.typeName)) {
      // Held open first: a message may hold itself.
      this.#components.set(type.typeName, {});
      this.#components.set(type.typeName, this.#objectOf(type, []));
    }
    return refTo(type.typeName);
  }

  /**
   * A request message of which some fields are set elsewhere, by the path: these are not part of the schema.
   *
   * @param elsewhere the ways to those fields, from the message
   */
  messageWithout(type: DescMessage, elsewhere: readonly (readonly DescField[])[]): Schema {
    return elsewhere.length === 0 ? this.message(type) : this.#objectOf(type, elsewhere);
  }

  /** A field with its rules and its comment. */
  field(field: DescField): Schema {
    return this.#commented(applyRules(this.#valueOf(field), rulesOf(field), field), field);
  }

  enum(type: DescEnum): Schema {
    if (type.typeName === "google.protobuf.NullValue") return { type: "null" };
    if (!this.#components.has(type.typeName)) this.#components.set(type.typeName, enumSchema(type));
    return refTo(type.typeName);
  }

  #objectOf(type: DescMessage, elsewhere: readonly (readonly DescField[])[]): Schema {
    const gone = new Set(elsewhere.filter((way) => way.length === 1).map(([field]) => field));
    const fields = type.fields.filter((field) => !gone.has(field));
    const properties = fields.map((field) => {
      const below = elsewhere.filter(([first, ...rest]) => first === field && rest.length > 0).map((way) => way.slice(1));
      const inner = below.length > 0 && field.fieldKind === "message" ? this.messageWithout(field.message, below) : undefined;
      return [field.jsonName, inner === undefined ? this.field(field) : this.#commented(inner, field)] as const;
    });
    const required = fields.filter(mustBeGiven).map(({ jsonName }) => jsonName);
    const choices = type.oneofs.flatMap((oneof) => choiceOf(oneof, gone) ?? []);
    const rules = hasOption(type, messageRules) ? getOption(type, messageRules).cel : [];
    const schema: Schema = {
      type: "object",
      properties: Object.fromEntries(properties),
      ...(required.length === 0 ? {} : { required }),
      ...(choices.length === 0 ? {} : { allOf: choices }),
      ...(type.deprecated ? { deprecated: true } : {}),
    };
    const told = rules.map(({ message, expression }) => `Rule: ${message === "" ? expression : message}.`);
    return described(schema, commentOf(type), ...told);
  }

  #commented(schema: Schema, field: DescField): Schema {
    const { description, ...rest } = schema;
    const own = commentOf(field);
    const texts = [own, typeof description === "string" ? description : undefined];
    return described(field.deprecated ? { ...rest, deprecated: true } : rest, ...texts);
  }

  #valueOf(field: DescField): Schema {
    switch (field.fieldKind) {
      case "scalar":
        return scalarSchema(field.scalar);
      case "enum":
        return this.enum(field.enum);
      case "message":
        return this.message(field.message);
      case "list":
        return { type: "array", items: this.#elementOf(field) };
      case "map":
        return { type: "object", additionalProperties: this.#elementOf(field) };
    }
  }

  #elementOf(field: DescField & { fieldKind: "list" | "map" }): Schema {
    if (field.message !== undefined) return this.message(field.message);
    return field.enum === undefined ? scalarSchema(field.scalar) : this.enum(field.enum);
  }
}

function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Requests may name a value by its number, too; answers hold numbers only for values that the contract does not know. */
function enumSchema(type: DescEnum): Schema {
  const told = type.values.map((value) => {
    const comment = commentOf(value).replaceAll(/\s*\n\s*/g, " ");
    return comment === "" ? undefined : `- \`${value.name}\`: ${comment}`;
  });
  const list = told.filter((line) => line !== undefined).join("\n");
  const schema: Schema = { type: "string", enum: type.values.map(({ name }) => name) };
  return described(type.deprecated ? { ...schema, deprecated: true } : schema, commentOf(type), list);
}

/** Exactly one member of a required oneof, at most one of any other; undefined for the oneof of an optional field. */
function choiceOf(oneof: DescOneof, gone: ReadonlySet<DescField | undefined>): Schema | undefined {
  const { fields } = oneof;
  // A member that the path sets decides the oneof.
  if (fields.some((field) => gone.has(field))) return undefined;
  const members = fields.map(({ jsonName }): Schema => ({ required: [jsonName] }));
  const required = hasOption(oneof, oneofRules) && getOption(oneof, oneofRules).required;
  if (required) return members.length === 1 ? members[0] : { oneOf: members };
  return members.length === 1 ? undefined : { oneOf: [...members, { not: { anyOf: members } }] };
}
