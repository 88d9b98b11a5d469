/** google.protobuf's own types, from their ProtoJSON forms. Undefined means: it is not one. */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  type Duration,
  DurationSchema,
  type FieldMask,
  FieldMaskSchema,
  isWrapperDesc,
  type Timestamp,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import { isFree } from "./free-value.ts";
import type { Json } from "./json.ts";
import { expectedScalar, readScalar, readScalarText } from "./scalar.ts";

/** Whether a single text stands for a message of the type, so that paths and queries can hold it. */
export function isTextType(type: DescMessage): boolean {
  return type.typeName in textReaders || isWrapperDesc(type);
}

/** Reads the text of a path or query as a message of a text type. */
export function readText(type: DescMessage, text: string): Message | undefined {
  const [wrapped] = type.fields;
  if (!isWrapperDesc(type) || wrapped?.fieldKind !== "scalar") return textReaders[type.typeName]?.(text);
  return wrap(type, readScalarText(wrapped.scalar, text));
}

/** Whether the type's JSON is something else than an object of its fields (google.protobuf.Any aside). */
export function hasOwnJson(type: DescMessage): boolean {
  return isTextType(type) || isFree(type);
}

/** Reads a JSON value as a message of a text type. */
export function readOwnJson(type: DescMessage, json: Json): Message | undefined {
  const [wrapped] = type.fields;
  if (isWrapperDesc(type) && wrapped?.fieldKind === "scalar") return wrap(type, readScalar(wrapped.scalar, json));
  return typeof json === "string" ? textReaders[type.typeName]?.(json) : undefined;
}

/** What a value of such a type looks like, for messages. */
export function expectedOwn(type: DescMessage): string {
  const [wrapped] = type.fields;
  if (isWrapperDesc(type) && wrapped?.fieldKind === "scalar") return expectedScalar(wrapped.scalar);
  return expectations[type.typeName] ?? type.typeName;
}

const expectations: Readonly<Record<string, string>> = {
  "google.protobuf.Timestamp": "a time such as 2030-01-31T12:00:00Z",
  "google.protobuf.Duration": "a duration in seconds such as 1.5s",
  "google.protobuf.FieldMask": "field names separated by commas",
};

const textReaders: Readonly<Record<string, (text: string) => Message | undefined>> = {
  "google.protobuf.Timestamp": readTimestamp,
  "google.protobuf.Duration": readDuration,
  "google.protobuf.FieldMask": readFieldMask,
};

/** RFC 3339, from year 1 to 9999, with at most nine digits of a second. */
function readTimestamp(text: string): Timestamp | undefined {
  const parts = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):(\d{2}))$/.exec(text);
  if (parts === null) return undefined;
  const [, local = "", fraction = "", sign, hours = "0", minutes = "0"] = parts;
  const utc = Date.parse(`${local}Z`);
  // Date.parse rolls 30 February over to March; RFC 3339 has no such day.
  if (Number.isNaN(utc) || new Date(utc).getUTCDate() !== Number(local.slice(8, 10))) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60 * (sign === "-" ? -1 : 1);
  const seconds = utc / 1000 - offset;
  if (seconds < firstSecond || seconds > lastSecond) return undefined;
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: Number(fraction.padEnd(9, "0")) });
}

const firstSecond = Date.parse("0001-01-01T00:00:00Z") / 1000;
const lastSecond = Date.parse("9999-12-31T23:59:59Z") / 1000;

/** At most 10,000 years either way. */
function readDuration(text: string): Duration | undefined {
  const parts = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole = "0", fraction = ""] = parts;
  const seconds = BigInt(whole);
  const nanos = Number(fraction.padEnd(9, "0"));
  if (seconds > 315_576_000_000n || (seconds === 315_576_000_000n && nanos > 0)) return undefined;
  // `-0` would be a nanos that no reader writes.
  return create(DurationSchema, sign === "-" ? { seconds: -seconds, nanos: 0 - nanos } : { seconds, nanos });
}

/** Names in either case; stored as in the contract. */
function readFieldMask(text: string): FieldMask | undefined {
  const paths = text === "" ? [] : text.split(",");
  if (!paths.every((path) => path === "*" || /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(path))) return undefined;
  return create(FieldMaskSchema, { paths: paths.map((path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) });
}

function wrap(type: DescMessage, value: unknown): Message | undefined {
  const [field] = type.fields;
  if (value === undefined || field === undefined) return undefined;
  const message = reflect(type);
  message.set(field, value);
  return message.message;
}
