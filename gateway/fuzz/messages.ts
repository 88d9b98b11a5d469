/** Random messages of any type, all kinds of fields in them, that a backend or a client could well have made. */
import { create, type DescField, type DescMessage, type Message, type Registry, ScalarType, toBinary } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import {
  AnySchema,
  anyPack,
  DurationSchema,
  FeatureSet_FieldPresence,
  FieldMaskSchema,
  type ListValue,
  ListValueSchema,
  type Struct,
  StructSchema,
  TimestampSchema,
  type Value,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import type { Random } from "./random.ts";
import { randomEnum, randomKey, randomScalar, randomText } from "./values.ts";

/** What messages are made with. */
export interface MessageOptions {
  readonly random: Random;
  /** The types that google.protobuf.Any may hold. */
  readonly types: Registry;
  /** The share of the fields that are set. Default a half. */
  readonly share?: number;
}

/** A message of the type. Required fields are set; nothing nests deeper than a few levels. */
export function randomMessage(options: MessageOptions, type: DescMessage, depth = 0): Message {
  const own = ownForms[type.typeName];
  if (own !== undefined) return own(options, depth);
  const message = reflect(type, create(type), false);
  const { random, share = 0.5 } = options;
  for (const member of type.members) {
    if (member.kind === "oneof") {
      if (random.chance(share)) fill(options, message, random.pick(member.fields), depth);
    } else if (member.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED || random.chance(depth > 2 ? share / 4 : share)) {
      fill(options, message, member, depth);
    }
  }
  return message.message;
}

/** Sets one field to a random value. */
export function fill(options: MessageOptions, message: ReflectMessage, field: DescField, depth = 0): void {
  const { random } = options;
  if (depth > 5 && field.message !== undefined) return;
  const value = () => {
    if (field.message !== undefined) return reflect(field.message, randomMessage(options, field.message, depth + 1), false);
    return field.enum === undefined ? randomScalar(random, field.scalar) : randomEnum(random, field.enum);
  };
  if (field.fieldKind === "list") {
    const list = message.get(field);
    for (let left = random.below(4); left > 0; left--) list.add(value());
  } else if (field.fieldKind === "map") {
    const map = message.get(field);
    for (let left = random.below(4); left > 0; left--) map.set(randomKey(random, field.mapKey), value());
  } else {
    message.set(field, longText(field, value()));
  }
}

/** The option `jstype = JS_STRING` makes messages hold 64-bit integers as texts. */
function longText(field: DescField, value: unknown): unknown {
  return "longAsString" in field && field.longAsString && typeof value === "bigint" ? String(value) : value;
}

const ownForms: Readonly<Record<string, (options: MessageOptions, depth: number) => Message>> = {
  "google.protobuf.Timestamp": ({ random }) => {
    const [first, last] = [-62_135_596_800, 253_402_300_799];
    const seconds = random.chance(0.2) ? random.pick([first, last, 0, -1]) : first + random.below(last - first);
    return create(TimestampSchema, { seconds: BigInt(seconds), nanos: nanos(random) });
  },
  "google.protobuf.Duration": ({ random }) => {
    const seconds = random.chance(0.2) ? random.pick([0, 315_575_999_999]) : random.below(10_000);
    const sign = random.chance(0.3) ? -1 : 1;
    return create(DurationSchema, { seconds: BigInt(sign * seconds), nanos: sign * nanos(random) + 0 });
  },
  "google.protobuf.FieldMask": ({ random }) => {
    const name = () => random.times(1 + random.below(2), () => random.pick(["a", "foo", "bar", "x1", "name"])).join("_");
    const path = () => random.times(1 + random.below(2), name).join(".");
    return create(FieldMaskSchema, { paths: random.times(random.below(4), path) });
  },
  "google.protobuf.Value": ({ random }, depth) => randomValue(random, depth),
  "google.protobuf.Struct": ({ random }, depth) => randomStruct(random, depth),
  "google.protobuf.ListValue": ({ random }, depth) => randomListValue(random, depth),
  "google.protobuf.Any": (options, depth) => {
    const any = create(AnySchema);
    if (options.random.chance(0.1)) return any;
    const types = [...options.types].filter((type) => type.kind === "message" && isPlain(type)) as DescMessage[];
    const type = options.random.pick(types);
    anyPack(type, depth > 2 ? create(type) : randomMessage(options, type, depth + 1), any);
    return any;
  },
};

/** A type whose default messages can be encoded: descriptors have required fields, and say nothing to a test. */
function isPlain(type: DescMessage): boolean {
  if (type.file.proto.name === "google/protobuf/descriptor.proto" || type.parent?.proto.options?.mapEntry === true) return false;
  if (type.proto.options?.mapEntry === true || type.typeName.startsWith("buf.")) return false;
  try {
    toBinary(type, create(type));
    return type.typeName !== "google.protobuf.Value";
  } catch {
    return false;
  }
}

function nanos(random: Random): number {
  return random.chance(0.3) ? 0 : random.pick([random.below(1000) * 1_000_000, random.below(1_000_000_000), 1, 999_999_999]);
}

function randomValue(random: Random, depth: number): Value {
  const kinds: readonly (() => Value["kind"])[] = [
    () => ({ case: "nullValue", value: 0 }),
    () => ({ case: "numberValue", value: finite(random) }),
    () => ({ case: "stringValue", value: randomText(random) }),
    () => ({ case: "boolValue", value: random.chance(0.5) }),
    () => ({ case: "structValue", value: randomStruct(random, depth + 1) }),
    () => ({ case: "listValue", value: randomListValue(random, depth + 1) }),
  ];
  return create(ValueSchema, { kind: random.pick(depth > 2 ? kinds.slice(0, 4) : kinds)() });
}

function randomStruct(random: Random, depth: number): Struct {
  const struct = create(StructSchema);
  for (let left = random.below(3); left > 0; left--) {
    const value = randomValue(random, depth + 1);
    Object.defineProperty(struct.fields, randomText(random), { value, enumerable: true, configurable: true, writable: true });
  }
  return struct;
}

function randomListValue(random: Random, depth: number): ListValue {
  return create(ListValueSchema, { values: random.times(random.below(3), () => randomValue(random, depth + 1)) });
}

function finite(random: Random): number {
  const value = randomScalar(random, ScalarType.DOUBLE) as number;
  return Number.isFinite(value) ? value : 1.5;
}
