/** protovalidate's rules of durations and timestamps: JSON Schema has no keywords for them, so they become a sentence. */
import { toJson } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { DurationRules, TimestampRules } from "#gen/buf/validate/validate_pb.ts";

/** What the rules say; undefined when they say nothing. */
export function timeSentence(rules: DurationRules | TimestampRules): string | undefined {
  const { lessThan, greaterThan } = rules;
  const told = [
    rules.const === undefined ? undefined : textOf(rules.const),
    "in" in rules && rules.in.length > 0 ? `one of ${rules.in.map(textOf).join(", ")}` : undefined,
    "notIn" in rules && rules.notIn.length > 0 ? `none of ${rules.notIn.map(textOf).join(", ")}` : undefined,
    ...[greaterThan, lessThan].map(({ case: kind, value }) => boundOf(kind, value)),
    "within" in rules && rules.within !== undefined ? `within ${textOf(rules.within)} of now` : undefined,
  ].filter((part) => part !== undefined);
  return told.length === 0 ? undefined : `Must be ${told.join(" and ")}.`;
}

function boundOf(kind: string | undefined, value: Duration | Timestamp | boolean | undefined): string | undefined {
  if (kind === undefined || value === undefined || value === false) return undefined;
  return `${words[kind]}${value === true ? "" : ` ${textOf(value)}`}`;
}

const words: Readonly<Record<string, string>> = {
  lt: "less than",
  lte: "at most",
  gt: "greater than",
  gte: "at least",
  ltNow: "in the past",
  gtNow: "in the future",
};

function textOf(value: Duration | Timestamp): string {
  if (value.$typeName === "google.protobuf.Duration") return toJson(DurationSchema, value);
  return toJson(TimestampSchema, value);
}
