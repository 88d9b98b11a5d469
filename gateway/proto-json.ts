/**
 * ProtoJSON into messages, with every mistake named by its field path and the type expected there. Paths use the names of
 * the contract (`user.email`, `items[2].price`), as validation's errors do.
 */
import type { DescField, DescMessage, Registry } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Json } from "./json.ts";
import { type Fields, planOf } from "./message-plan.ts";
import { MessageReader } from "./message-reader.ts";
import { atOnce } from "./slices.ts";
import type { Violations } from "./violations.ts";

/** What a reading needs beside the JSON. */
export interface Reading {
  /** The types that google.protobuf.Any may hold. */
  readonly types: Registry;
  /** True: names that the contract does not know are skipped. False: they are mistakes. */
  readonly lenient: boolean;
  /** Where mistakes go; reading goes on after one. */
  readonly violations: Violations;
  /** How many bytes the messages may take in memory; undefined: as many as they take. */
  readonly memory?: { left: number };
}

/** Reads a JSON value as a message; undefined after mistakes that left nothing to set. */
export function readMessage(reading: Reading, type: DescMessage, json: Json, path: string): ReflectMessage | undefined {
  return atOnce(readingMessage(reading, type, json, path));
}

/** Reads a JSON value as the value of a field and sets it; null leaves the field unset. */
export function readField(reading: Reading, message: ReflectMessage, field: DescField, json: Json, path: string): void {
  atOnce(readingField(reading, message, field, json, path));
}

/** The same as readMessage, with pauses on the way. */
export function* readingMessage(
  reading: Reading,
  type: DescMessage,
  json: Json,
  path: string,
): Generator<void, ReflectMessage | undefined> {
  const reader = new MessageReader(reading, path);
  const message = reader.begin(type, json);
  while (!reader.step(valuesBetweenPauses)) yield;
  return message === undefined ? undefined : reflect(type, message, false);
}

/** The same as readField, with pauses on the way. */
export function* readingField(
  reading: Reading,
  message: ReflectMessage,
  field: DescField,
  json: Json,
  path: string,
): Generator<void, void> {
  const reader = new MessageReader(reading, path);
  reader.beginField(message.message as unknown as Fields, field, json);
  while (!reader.step(valuesBetweenPauses)) yield;
}

/** About a millisecond's work. */
const valuesBetweenPauses = 1024;

/** Whether the field may be set: not when another member of its oneof is. The mistake is noted. */
export function claimOneof(violations: Violations, message: ReflectMessage, field: DescField, path: string): boolean {
  if (field.oneof === undefined) return true;
  const other = message.oneofCase(field.oneof);
  if (other === undefined || other === field) return true;
  violations.add(path, `${other.name} is set too, and only one of the oneof "${field.oneof.name}" can be`);
  return false;
}

/** The field that a JSON key or query name stands for: by JSON name or by the contract's name. */
export function fieldNamed(type: DescMessage, name: string): DescField | undefined {
  return planOf(type).fields.get(name)?.field;
}

/** The path of a member: `user` and `email` make `user.email`. */
export function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
