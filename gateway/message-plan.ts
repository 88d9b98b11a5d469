/** What reading ProtoJSON needs of each message type, looked up once: fields by name, and how a value of each is read. */
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { AnySchema, isWrapperDesc, ListValueSchema, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Json } from "./json.ts";
import { expectedEnum, expectedScalar, readEnum, readScalar } from "./scalar.ts";
import { expectedOwn, hasOwnJson, readOwnJson } from "./well-known.ts";

/** A message of any type as what it is: an object with the fields' local names. */
export type Fields = Record<string, unknown>;

/** A message type. */
export interface MessagePlan {
  readonly type: DescMessage;
  /** By JSON name and by the contract's name; a JSON name goes before another field's own name. */
  readonly fields: ReadonlyMap<string, FieldPlan>;
  readonly byField: ReadonlyMap<DescField, FieldPlan>;
  /** About how many bytes an empty message takes in memory. */
  readonly bytes: number;
  /** A new empty message. */
  empty(): Message;
}

/** A field. */
export interface FieldPlan {
  readonly field: DescField;
  /** `.name`, for paths. */
  readonly dotted: string;
  readonly kind: "single" | "list" | "map";
  /** How values are read: at once, member by member, or as JSON of any shape (struct: as plain JSON; free: as messages). */
  readonly value: "leaf" | "message" | "any" | "struct" | "free";
  /** The message type of the values; undefined for scalars and enums. */
  readonly type: DescMessage | undefined;
  /** Whether JSON's null is a value of the field, and not "unset". */
  readonly takesNull: boolean;
  /** A leaf's value as messages hold it; undefined when the JSON is none. */
  readonly read: (json: Json) => unknown;
  /** What a leaf's value looks like, for people. */
  readonly expected: () => string;
}

/** The plan of a type. */
export function planOf(type: DescMessage): MessagePlan {
  const known = plans.get(type);
  if (known !== undefined) return known;
  const plan = compile(type);
  plans.set(type, plan);
  return plan;
}

/** ProtoJSON's null means "unset", but for the two types whose value it is. */
export function takesNull(field: DescField): boolean {
  if (field.fieldKind === "message") return field.message.typeName === "google.protobuf.Value";
  return field.fieldKind === "enum" && field.enum.typeName === "google.protobuf.NullValue";
}

/** Puts a value that `FieldPlan.read` or a reading made into its message. */
export function setField(message: Fields, field: DescField, value: unknown): void {
  if (field.oneof === undefined) message[field.localName] = value;
  else message[field.oneof.localName] = { case: field.localName, value };
}

const plans = new WeakMap<DescMessage, MessagePlan>();

function compile(type: DescMessage): MessagePlan {
  const fields = new Map<string, FieldPlan>();
  const byField = new Map(type.fields.map((field) => [field, compileField(field)]));
  for (const [field, plan] of byField) fields.set(field.name, plan);
  for (const [field, plan] of byField) fields.set(field.jsonName, plan);
  const containers = type.members.filter((member) => member.kind === "oneof" || isContainer(member));
  return { type, fields, byField, bytes: 64 + 8 * type.members.length + 56 * containers.length, empty: emptyOf(type) };
}

/**
 * Made by copying: a tenth of the time that making it field by field takes, and of the garbage. Copies are that quick only
 * of an object whose properties all came at once, as JSON.parse lays them out.
 */
function emptyOf(type: DescMessage): () => Message {
  const made = create(type);
  // A type with a prototype of its own keeps defaults there, as proto2's do.
  if (Object.getPrototypeOf(made) !== Object.prototype) return () => create(type);
  const names = Object.keys(made);
  const template: Fields = JSON.parse(JSON.stringify(Object.fromEntries(names.map((name) => [name, 0]))));
  for (const name of names) template[name] = (made as unknown as Fields)[name];
  const lists = type.fields.filter((field) => field.fieldKind === "list").map((field) => field.localName);
  const maps = type.fields.filter((field) => field.fieldKind === "map").map((field) => field.localName);
  const oneofs = type.oneofs.map((oneof) => oneof.localName);
  return () => {
    const message = { ...template };
    for (const name of lists) message[name] = [];
    for (const name of maps) message[name] = {};
    for (const name of oneofs) message[name] = { case: undefined };
    return message as unknown as Message;
  };
}

function isContainer(field: DescField): boolean {
  return field.fieldKind === "list" || field.fieldKind === "map";
}

function compileField(field: DescField): FieldPlan {
  const kind = field.fieldKind === "list" || field.fieldKind === "map" ? field.fieldKind : "single";
  const dotted = `.${field.name}`;
  const { message: type } = field;
  if (type !== undefined && !hasOwnJson(type)) {
    const value = type.typeName === AnySchema.typeName ? "any" : "message";
    return { field, dotted, kind, value, type, takesNull: false, read: () => undefined, expected: () => "an object" };
  }
  const expected = () => expectedLeaf(field);
  const free = freeKind(field);
  if (free !== undefined) {
    return { field, dotted, kind, value: free, type, takesNull: takesNull(field), read: () => undefined, expected };
  }
  return { field, dotted, kind, value: "leaf", type, takesNull: takesNull(field), read: leafReader(field), expected };
}

/** JSON of any shape. Messages hold a Struct as a plain object where it is a field, but for the one in a Value. */
function freeKind(field: DescField): "struct" | "free" | undefined {
  switch (field.message?.typeName) {
    case StructSchema.typeName:
      return field.parent.typeName === ValueSchema.typeName ? "free" : "struct";
    case ValueSchema.typeName:
    case ListValueSchema.typeName:
      return "free";
    default:
      return undefined;
  }
}

function expectedLeaf(field: DescField): string {
  if (field.message !== undefined) return expectedOwn(field.message);
  return field.enum === undefined ? expectedScalar(field.scalar) : expectedEnum(field.enum);
}

/** Messages hold singular wrappers as bare values. */
function leafReader(field: DescField): (json: Json) => unknown {
  const { message: type, enum: enumeration } = field;
  if (type !== undefined) {
    const bare = isWrapperDesc(type) && field.fieldKind === "message" && field.oneof === undefined;
    return bare ? (json) => (readOwnJson(type, json) as Fields | undefined)?.value : (json) => readOwnJson(type, json);
  }
  if (enumeration !== undefined) {
    const takesNull = enumeration.typeName === "google.protobuf.NullValue";
    return (json) => (takesNull && json === null ? 0 : readEnum(enumeration, json));
  }
  const { scalar } = field;
  if (!("longAsString" in field) || !field.longAsString || !isLong(scalar)) return (json) => readScalar(scalar, json);
  return (json) => readScalar(scalar, json)?.toString();
}

function isLong(type: ScalarType): boolean {
  return longs.has(type);
}

const longs: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
