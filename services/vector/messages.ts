/** Messages of the contract to the service's values, and back. */
import type { JsonObject, JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, type Value } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { type CollectionSchema, Embedding, type ItemSchema, Metric as MetricName } from "#gen/vector/v1/collection_pb.ts";
import type { Filter } from "#gen/vector/v1/filter_pb.ts";
import { invalidArgument } from "#mesh/errors.ts";
import type { Collection, EmbeddingKind, Item } from "./collection.ts";
import type { Condition, Plain } from "./filter.ts";
import type { Metric } from "./metric.ts";

/** Our name of each metric. */
export const metricOf: Readonly<Record<number, Metric>> = {
  [MetricName.UNSPECIFIED]: "cosine",
  [MetricName.COSINE]: "cosine",
  [MetricName.INNER_PRODUCT]: "inner-product",
  [MetricName.SQUARED_EUCLIDEAN]: "squared-euclidean",
};
const metricNames: Readonly<Record<Metric, MetricName>> = {
  cosine: MetricName.COSINE,
  "inner-product": MetricName.INNER_PRODUCT,
  "squared-euclidean": MetricName.SQUARED_EUCLIDEAN,
};

/** Our name of each embedding. */
export const embeddingOf: Readonly<Record<number, EmbeddingKind>> = {
  [Embedding.UNSPECIFIED]: "built-in",
  [Embedding.BUILT_IN]: "built-in",
  [Embedding.REMOTE]: "remote",
  [Embedding.NONE]: "none",
};
const embeddingNames: Readonly<Record<EmbeddingKind, Embedding>> = {
  "built-in": Embedding.BUILT_IN,
  remote: Embedding.REMOTE,
  none: Embedding.NONE,
};

/** A collection as the contract shows it. */
export function fromCollection(collection: Collection): MessageInitShape<typeof CollectionSchema> {
  const { name, dimensions, metric, embedding, model, owner, itemCount, createTime } = collection;
  return {
    ...{ name, dimensions, model, owner },
    metric: metricNames[metric],
    embedding: embeddingNames[embedding],
    itemCount: BigInt(itemCount),
    createTime: timestampFromMs(createTime),
  };
}

/** An item as the contract shows it. */
export function fromItem({ id, text, vector, metadata, updateTime }: Item): MessageInitShape<typeof ItemSchema> {
  return {
    ...{ id, text },
    vector: Array.from(vector),
    ...(metadata === "" ? {} : { metadata: JSON.parse(metadata) as JsonObject }),
    updateTime: timestampFromMs(updateTime),
  };
}

/** Bytes, values and depth of an item's metadata. */
const maxMetadataBytes = 8192;
const maxMetadataValues = 64;
const maxMetadataDepth = 5;

/** An item's metadata as JSON, "" for none. @throws INVALID_ARGUMENT naming `field` when it is too large. */
export function metadataOf(metadata: JsonObject | undefined, field: string): string {
  if (metadata === undefined) return "";
  const text = JSON.stringify(metadata);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxMetadataBytes) throw mistake(field, `expected at most ${maxMetadataBytes} bytes as JSON, got ${bytes}`);
  const values = countValues(metadata, 0, field);
  if (values > maxMetadataValues) throw mistake(field, `expected at most ${maxMetadataValues} values, got ${values}`);
  return text;
}

/** How many values there are that are no object or list. @throws INVALID_ARGUMENT for what is too deep, or PostgreSQL cannot hold. */
function countValues(value: JsonValue, depth: number, field: string): number {
  if (typeof value === "string") assertText(value, field);
  if (typeof value !== "object" || value === null) return 1;
  if (depth === maxMetadataDepth) throw mistake(field, `expected at most ${maxMetadataDepth} objects and lists in each other`);
  let count = 0;
  for (const [name, part] of Object.entries(value)) {
    assertText(name, field);
    count += countValues(part as JsonValue, depth + 1, field);
  }
  return count;
}

function assertText(text: string, field: string): void {
  if (text.includes("\0") || !text.isWellFormed()) throw mistake(field, "expected texts of whole characters other than NUL");
}

/** Conditions of a filter, and how deep they are. */
const maxConditions = 100;
const maxDepth = 8;
const maxListed = 200;

/** The condition of a filter. @throws INVALID_ARGUMENT naming the part that is wrong. */
export function conditionOf(filter: Filter | undefined): Condition | undefined {
  if (filter === undefined) return undefined;
  let count = 0;
  const read = ({ field: name, condition }: Filter, at: string, depth: number): Condition => {
    if (++count > maxConditions) throw mistake("filter", `expected at most ${maxConditions} conditions`);
    if (depth > maxDepth) throw mistake(at, `expected conditions at most ${maxDepth} deep`);
    const group = condition.case === "all" || condition.case === "any" || condition.case === "not";
    if (group !== (name === ""))
      throw mistake(`${at}.field`, group ? "expected none beside all, any or not" : "expected a field's name");
    const path = name.split(".");
    switch (condition.case) {
      case "all":
      case "any": {
        const { filters } = condition.value;
        return {
          kind: condition.case,
          conditions: filters.map((one, n) => read(one, `${at}.${condition.case}.filters[${n}]`, depth + 1)),
        };
      }
      case "not":
        return { kind: "not", condition: read(condition.value, `${at}.not`, depth + 1) };
      case "exists":
        return condition.value ? { kind: "exists", path } : { kind: "not", condition: { kind: "exists", path } };
      case "in": {
        const { values } = condition.value;
        if (values.length > maxListed) throw mistake(`${at}.in`, `expected at most ${maxListed} values, got ${values.length}`);
        return { kind: "in", path, values: values.map((value, n) => plainOf(value, `${at}.in[${n}]`)) };
      }
      case "equal":
        return { kind: "equal", path, value: plainOf(condition.value, `${at}.equal`) };
      case "notEqual":
        return { kind: "not", condition: { kind: "equal", path, value: plainOf(condition.value, `${at}.not_equal`) } };
      case "less":
        return { kind: "less", path, value: orderedOf(condition.value, `${at}.less`) };
      case "atMost":
        return { kind: "at-most", path, value: orderedOf(condition.value, `${at}.at_most`) };
      case "greater":
        return { kind: "greater", path, value: orderedOf(condition.value, `${at}.greater`) };
      case "atLeast":
        return { kind: "at-least", path, value: orderedOf(condition.value, `${at}.at_least`) };
      default:
        throw mistake(at, "expected a condition");
    }
  };
  return read(filter, "filter", 1);
}

function plainOf(value: Value, field: string): Plain {
  const { kind } = value;
  if (kind.case === "nullValue") return null;
  if (kind.case === "stringValue" || kind.case === "numberValue" || kind.case === "boolValue") return kind.value;
  throw mistake(field, "expected a text, a number, a truth value or null");
}

function orderedOf(value: Value, field: string): Plain {
  const plain = plainOf(value, field);
  if (typeof plain === "number" || typeof plain === "string") return plain;
  throw mistake(field, "expected a text or a number");
}

/** A vector of `dimensions` finite single floats. @throws INVALID_ARGUMENT naming `field`. */
export function vectorIn(values: readonly number[], dimensions: number, field: string): Float32Array<ArrayBuffer> {
  if (values.length !== dimensions) throw mistake(field, `expected ${dimensions} numbers, got ${values.length}`);
  const at = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
  if (at >= 0) throw mistake(`${field}[${at}]`, "expected a finite number");
  return Float32Array.from(values);
}

/** INVALID_ARGUMENT of one field. */
export function mistake(field: string, description: string): ConnectError {
  return invalidArgument([{ field, description }]);
}
