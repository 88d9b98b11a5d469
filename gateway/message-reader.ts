/**
 * Reads ProtoJSON into messages with a stack of its own, so that it can stop after any value and go on later, and so that
 * where it stands is known without being written down at every step.
 */
import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { AnySchema, anyPack, StructSchema, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { bytesOfValue, freeTarget, freeValue, isFree } from "./free-value.ts";
import { describeJson, type Json, type JsonObject } from "./json.ts";
import { type FieldPlan, type Fields, type MessagePlan, planOf, setField } from "./message-plan.ts";
import type { Reading } from "./proto-json.ts";
import { expectedScalar, readMapKey } from "./scalar.ts";
import { httpError } from "./status.ts";
import { expectedOwn, hasOwnJson, readOwnJson } from "./well-known.ts";

/**
 * What is being read at one level: the members of an object, the items of an array, the entries of a map, or JSON of any
 * shape (google.protobuf.Struct, Value and ListValue).
 */
interface Level {
  readonly kind: "members" | "items" | "entries" | "free members" | "free items";
  /** Members: the message. Items: the array. Entries: the object. */
  readonly target: Fields | unknown[];
  /** Members: what the type has. */
  readonly plan: MessagePlan | undefined;
  /** Items and entries: the field that they are of. */
  readonly field: FieldPlan | undefined;
  readonly items: readonly Json[];
  readonly members: Iterator<[string, Json]>;
  /** Free ones: whether each is a google.protobuf.Value, and not the JSON itself. */
  readonly wrapped: boolean;
  /** Members: the fields met so far. */
  readonly seen: Set<FieldPlan>;
  /** Runs when all was read. */
  readonly done: (() => unknown) | undefined;
  /** Items: the one that was read last. */
  index: number;
  /** Where it stands, as paths say it: `.name`, `[3]`, `["key"]`. */
  at: string;
}

/** One reading. `begin` once, then `step` until it answers true. */
export class MessageReader {
  readonly #reading: Reading;
  readonly #root: string;
  readonly #levels: Level[] = [];

  /** `path`: where the value stands in the request. */
  constructor(reading: Reading, path: string) {
    this.#reading = reading;
    this.#root = path;
  }

  /** Begins to read a message. What it answers is filled by the steps; undefined: the JSON is none. */
  begin(type: DescMessage, json: Json): Message | undefined {
    if (isFree(type)) return this.#beginFree(type, json);
    if (!hasOwnJson(type)) return type.typeName === AnySchema.typeName ? this.#openAny(json) : this.#open(type, json);
    const message = readOwnJson(type, json);
    return message ?? this.#reading.violations.expected(this.#path(), expectedOwn(type), describeJson(json));
  }

  /** Begins to read a value of a field and to set it; null leaves the field unset. */
  beginField(message: Fields, field: DescField, json: Json): void {
    const plan = planOf(field.parent).byField.get(field);
    if (plan !== undefined) this.#readField(message, plan, json);
  }

  /** Reads on by so many values; true when all is read. */
  step(limit: number): boolean {
    for (let left = limit; left > 0; left--) {
      const level = this.#levels[this.#levels.length - 1];
      if (level === undefined) return true;
      if (this.#advance(level)) continue;
      this.#levels.pop();
      level.done?.();
    }
    return false;
  }

  /** Reads the level's next value; false when there is none. */
  #advance(level: Level): boolean {
    if (level.kind === "items" || level.kind === "free items") return this.#readItem(level);
    const next = level.members.next();
    if (next.done === true) return false;
    const [key, value] = next.value;
    if (level.kind === "members") this.#readMember(level, key, value);
    else if (level.kind === "entries") this.#readEntry(level, key, value);
    else {
      level.at = `.${key}`;
      setEntry(level.target as Fields, key, this.#readFree(value, level.wrapped));
    }
    return true;
  }

  #readMember(level: Level, key: string, json: Json): void {
    const { violations, lenient } = this.#reading;
    const field = level.plan?.fields.get(key);
    if (field === undefined) {
      level.at = `.${key}`;
      if (!lenient) violations.add(this.#path(), `${level.plan?.type.typeName} has no such field`);
      return;
    }
    level.at = field.dotted;
    const { name, jsonName } = field.field;
    if (level.seen.has(field)) violations.add(this.#path(), `set twice, as "${name}" and as "${jsonName}"`);
    else this.#readField(level.target as Fields, field, json);
    // Two keys can stand for one field only where the two names differ.
    if (name !== jsonName) level.seen.add(field);
  }

  #readField(message: Fields, plan: FieldPlan, json: Json): void {
    if ((json === null && !plan.takesNull) || !this.#claim(message, plan.field)) return;
    if (plan.kind === "single") {
      const value = this.#readValue(plan, json);
      if (value !== undefined) setField(message, plan.field, value);
    } else if (plan.kind === "list") {
      if (isArray(json))
        this.#push({ kind: "items", target: message[plan.field.localName] as unknown[], field: plan, items: json });
      else this.#expected("an array", json);
    } else if (json instanceof Map) {
      this.#push({ kind: "entries", target: message[plan.field.localName] as Fields, field: plan, members: json.entries() });
    } else {
      this.#expected("an object", json);
    }
  }

  #readItem(level: Level): boolean {
    const { field, items } = level;
    if (++level.index >= items.length) return false;
    const item = items[level.index] ?? null;
    const value = field === undefined ? this.#readFree(item, level.wrapped) : this.#readValue(field, item);
    if (value !== undefined) (level.target as unknown[]).push(value);
    return true;
  }

  #readEntry(level: Level, text: string, json: Json): void {
    const { field } = level;
    if (field?.field.fieldKind !== "map") return;
    level.at = `[${JSON.stringify(text)}]`;
    const key = readMapKey(field.field.mapKey, text);
    const { violations } = this.#reading;
    const target = level.target as Fields;
    if (key === undefined) {
      violations.expected(this.#path(), `a key that is ${expectedScalar(field.field.mapKey)}`, JSON.stringify(text));
    } else if (Object.hasOwn(target, String(key))) {
      violations.add(this.#path(), "the same key stands here for the second time");
    } else {
      const value = this.#readValue(field, json);
      if (value !== undefined) setEntry(target, String(key), value);
    }
  }

  /** One value of a field: of a singular one, or an item of a list, or a value of a map. A message is filled by later steps. */
  #readValue(plan: FieldPlan, json: Json): unknown {
    if (plan.type !== undefined && plan.value === "message") return this.#open(plan.type, json);
    if (plan.value === "any") return this.#openAny(json);
    if (plan.value === "struct") return json instanceof Map ? this.#readFree(json, false) : this.#expected("an object", json);
    if (plan.type !== undefined && plan.value === "free") return this.#beginFree(plan.type, json);
    const value = plan.read(json);
    if (value !== undefined) return value;
    // Lenient reading skips names of enum values that the contract does not know.
    if (plan.field.enum !== undefined && typeof json === "string" && this.#reading.lenient) return undefined;
    const redacted = plan.field.proto.options?.debugRedact === true && json !== null && typeof json !== "object";
    const got = redacted ? `a ${typeof json} (not shown)` : describeJson(json);
    return this.#reading.violations.expected(this.#path(), plan.expected(), got);
  }

  /** A message of google.protobuf.Value, ListValue or Struct. */
  #beginFree(type: DescMessage, json: Json): Message | undefined {
    const shape = type.typeName === StructSchema.typeName ? "an object" : "an array";
    const fits = type.typeName === ValueSchema.typeName || (shape === "an object" ? json instanceof Map : isArray(json));
    if (!fits) return this.#expected(shape, json);
    const value = this.#readFree(json, true) as Value | undefined;
    const { kind } = value ?? {};
    return type.typeName === ValueSchema.typeName
      ? value
      : kind?.case === "structValue" || kind?.case === "listValue"
        ? kind.value
        : undefined;
  }

  /** JSON of any shape, as it is or as a google.protobuf.Value. */
  #readFree(json: Json, wrapped: boolean): unknown {
    if (wrapped) this.#take(bytesOfValue);
    const target = freeTarget(json);
    if (target === undefined) return this.#expected("a JSON value whose numbers are doubles", json);
    if (json instanceof Map) this.#push({ kind: "free members", target: target as Fields, members: json.entries(), wrapped });
    else if (isArray(json)) this.#push({ kind: "free items", target: target as unknown[], items: json, wrapped });
    return wrapped ? freeValue(json, target) : target;
  }

  #open(type: DescMessage, json: Json, done?: () => unknown): Message | undefined {
    if (!(json instanceof Map)) return this.#expected("an object", json);
    const plan = planOf(type);
    this.#take(plan.bytes);
    const message = plan.empty();
    if (json.size > 0 || done !== undefined) {
      this.#push({ kind: "members", target: message as unknown as Fields, plan, members: json.entries(), done });
    }
    return message;
  }

  #openAny(json: Json): Message | undefined {
    const { types, lenient, violations } = this.#reading;
    if (!(json instanceof Map)) return this.#expected("an object", json);
    const any = create(AnySchema);
    if (json.size === 0) return any;
    const url = json.get("@type");
    if (typeof url !== "string") {
      return violations.expected(this.#path(".@type"), "the URL of a type", url === undefined ? "nothing" : describeJson(url));
    }
    const type = types.getMessage(url.slice(url.lastIndexOf("/") + 1));
    if (type === undefined) return violations.expected(this.#path(".@type"), "a type of the contracts", describeJson(url));
    const members = new Map([...json].filter(([key]) => key !== "@type"));
    const pack = (message: Message) => {
      anyPack(type, message, any);
      // The URL's host is the sender's choice; the type's name alone would lose it.
      any.typeUrl = url;
    };
    if (!hasOwnJson(type) && type.typeName !== AnySchema.typeName) {
      const message = this.#open(type, members, () => message !== undefined && pack(message));
      return any;
    }
    const unknown = [...members.keys()].find((key) => key !== "value");
    if (unknown !== undefined && !lenient) violations.add(this.#path(`.${unknown}`), `${url} has no such field`);
    // A level of its own, for the path.
    const inner: { message: Message | undefined } = { message: undefined };
    const level = this.#push({ kind: "members", target: {}, done: () => inner.message !== undefined && pack(inner.message) });
    level.at = ".value";
    inner.message = this.begin(type, members.get("value") ?? null);
    return any;
  }

  #push(level: Partial<Level> & Pick<Level, "kind" | "target">): Level {
    const whole: Level = {
      kind: level.kind,
      target: level.target,
      plan: level.plan,
      field: level.field,
      items: level.items ?? [],
      members: level.members ?? nothing.entries(),
      wrapped: level.wrapped ?? false,
      seen: level.plan === undefined ? noFields : new Set(),
      done: level.done,
      index: -1,
      at: "",
    };
    this.#levels.push(whole);
    return whole;
  }

  /** Whether the field may be set: not when another member of its oneof is. The mistake is noted. */
  #claim(message: Fields, field: DescField): boolean {
    if (field.oneof === undefined) return true;
    const other = (message[field.oneof.localName] as { case?: string }).case;
    if (other === undefined || other === field.localName) return true;
    const set = field.oneof.fields.find(({ localName }) => localName === other)?.name;
    this.#reading.violations.add(this.#path(), `${set} is set too, and only one of the oneof "${field.oneof.name}" can be`);
    return false;
  }

  #take(bytes: number): void {
    const { memory } = this.#reading;
    if (memory === undefined) return;
    memory.left -= bytes;
    if (memory.left < 0)
      throw httpError(413, Code.ResourceExhausted, "body: expected fewer messages, got more than memory is set aside for");
  }

  #expected(expected: string, json: Json): undefined {
    return this.#reading.violations.expected(this.#path(), expected, describeJson(json));
  }

  #path(below = ""): string {
    const steps = this.#levels.map((level) => (level.kind.endsWith("items") ? `[${level.index}]` : level.at)).join("");
    const path = this.#root + steps + below;
    return path.startsWith(".") ? path.slice(1) : path;
  }
}

const nothing: JsonObject = new Map();
const noFields: Set<FieldPlan> = new Set();

function isArray(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

/** Assigned, `__proto__` would be lost. */
function setEntry(target: Fields, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}
