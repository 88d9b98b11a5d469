/** Compares what a client and a backend got with what a vector says they must get: one sentence for each difference. */
import { isDeepStrictEqual } from "node:util";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { RecordedCall } from "./backend.ts";
import { textOf } from "./payload.ts";
import type { RawAnswer } from "./raw-http.ts";
import type { Expectation, Received, TextMatch } from "./vector.ts";

/** The differences between the answer and what is expected of it. */
export function checkAnswer(expected: Expectation, answer: RawAnswer): string[] {
  const text = answer.body.toString();
  const statuses = typeof expected.status === "number" ? [expected.status] : expected.status;
  const found: string[] = [];
  if (!statuses.includes(answer.status))
    found.push(`status: expected ${statuses.join(" or ")}, got ${answer.status} ${cut(text)}`);
  for (const [name, match] of Object.entries(expected.headers ?? {})) {
    found.push(...checkText(`header ${name}`, match, answer.headers.get(name.toLowerCase())));
  }
  if (expected.failsWith === undefined && answer.broken && answer.status !== 0)
    found.push("body: the connection broke off before its end");
  if (expected.json !== undefined) found.push(...checkJson("body", expected.json, jsonOf(text)));
  if (expected.text !== undefined && text !== textOf(expected.text))
    found.push(`body: expected ${cut(textOf(expected.text))}, got ${cut(text)}`);
  if (expected.base64 !== undefined && answer.body.toString("base64") !== expected.base64) {
    found.push(`body: expected the bytes ${expected.base64}, got ${cut(answer.body.toString("base64"))}`);
  }
  if (expected.bodyPattern !== undefined) found.push(...checkText("body", { pattern: expected.bodyPattern }, text));
  if (expected.empty === true && answer.body.length > 0) found.push(`body: expected none, got ${cut(text)}`);
  if (expected.ndjson !== undefined) found.push(...checkJson("lines", [...expected.ndjson], linesOf(text)));
  if (expected.events !== undefined) found.push(...checkEvents(expected.events, eventsOf(text)));
  if (expected.error !== undefined) found.push(...checkError(expected.error, jsonOf(text)));
  if (expected.failsWith !== undefined) found.push(...checkFailure(expected, answer, text));
  const within = expected.withinMs ?? 10_000;
  if (answer.tookMs > within) found.push(`expected an answer within ${within} ms, got it after ${Math.round(answer.tookMs)}`);
  return found;
}

/** The differences between what the backend got and what it must have got. */
export function checkReceived(expected: Received | null, calls: readonly RecordedCall[], leftAt: number | undefined): string[] {
  if (expected === null) {
    return calls.map((call) => `backend: expected no call, got ${call.rpc} ${cut(JSON.stringify(call.messages))}`);
  }
  const call = calls.at(-1);
  if (call === undefined) return ["backend: expected a call, got none"];
  const { rpc, message, messages = message === undefined ? undefined : [message], metadata = {}, deadlineMs } = expected;
  const found: string[] = [];
  if (rpc !== undefined && rpc !== call.rpc) found.push(`backend: expected a call of ${rpc}, got ${call.rpc}`);
  if (messages !== undefined) found.push(...checkJson("backend: message", [...messages], call.messages));
  for (const [name, match] of Object.entries(metadata)) {
    found.push(...checkText(`backend: metadata ${name}`, match, call.metadata[name]));
  }
  if (deadlineMs !== undefined) found.push(...checkDeadline(deadlineMs, call.metadata["grpc-timeout"]));
  if (expected.cancelledWithinMs !== undefined) {
    const took = call.cancelledAt === undefined || leftAt === undefined ? Number.POSITIVE_INFINITY : call.cancelledAt - leftAt;
    if (took > expected.cancelledWithinMs)
      found.push(`backend: expected to be cancelled within ${expected.cancelledWithinMs} ms, was after ${took}`);
  }
  return found;
}

/** How long a text is shown. */
const shown = 220;

function cut(text: string | undefined): string {
  if (text === undefined) return "nothing";
  return text.length > shown ? `${text.slice(0, shown)}... (${text.length} characters)` : text;
}

function checkText(what: string, match: TextMatch, got: string | undefined): string[] {
  if (matches(match, got)) return [];
  const expected = match === null ? "nothing" : JSON.stringify(match);
  return [`${what}: expected ${expected}, got ${got === undefined ? "nothing" : JSON.stringify(cut(got))}`];
}

function matches(match: TextMatch, got: string | undefined): boolean {
  if (match === null) return got === undefined;
  if (typeof match === "string") return got === match;
  if ("without" in match) return got === undefined || !got.includes(match.without);
  return got !== undefined && new RegExp(match.pattern, "s").test(got);
}

function checkJson(what: string, expected: JsonValue, got: JsonValue | undefined): string[] {
  if (isDeepStrictEqual(got, expected)) return [];
  return [`${what}: expected ${cut(JSON.stringify(expected))}, got ${got === undefined ? "no JSON" : cut(JSON.stringify(got))}`];
}

function checkEvents(expected: NonNullable<Expectation["events"]>, got: readonly ServerEvent[]): string[] {
  if (expected.length !== got.length)
    return [`events: expected ${expected.length}, got ${got.length}: ${cut(JSON.stringify(got))}`];
  return expected.flatMap((event, index) => {
    const { id, event: name, data } = got[index] ?? { id: undefined, event: undefined, data: "" };
    return [
      ...(event.id === undefined ? [] : checkText(`event ${index}: id`, event.id, id)),
      ...(event.event === undefined ? [] : checkText(`event ${index}: event`, event.event, name)),
      ...(event.data === undefined ? [] : checkJson(`event ${index}: data`, event.data, jsonOf(data))),
    ];
  });
}

function checkError(expected: NonNullable<Expectation["error"]>, got: JsonValue | undefined): string[] {
  if (!isObject(got)) return [`error: expected a google.rpc.Status, got ${cut(JSON.stringify(got))}`];
  const found: string[] = [];
  if (typeof got.code !== "number" || got.code !== (expected.code ?? got.code))
    found.push(
      `error: expected ${expected.code === undefined ? "a code" : `code ${expected.code}`}, got ${cut(JSON.stringify(got))}`,
    );
  if (typeof got.message !== "string") found.push(`error: expected a message, got ${cut(JSON.stringify(got))}`);
  if (expected.message !== undefined) found.push(...checkJson("error: message", expected.message, got.message));
  if (expected.details !== undefined) found.push(...checkJson("error: details", [...expected.details], got.details ?? []));
  if (expected.fields !== undefined) found.push(...checkFields(expected.fields, got.details));
  return found;
}

function checkFields(expected: readonly string[], details: JsonValue | undefined): string[] {
  const objects = Array.isArray(details) ? details.filter(isObject) : [];
  const bad = objects.find((detail) => String(detail["@type"]).endsWith("/google.rpc.BadRequest"));
  const violations = Array.isArray(bad?.fieldViolations) ? bad.fieldViolations.filter(isObject) : [];
  const got = [...new Set(violations.map(({ field }) => String(field ?? "")))].sort();
  const wanted = [...expected].sort();
  return isDeepStrictEqual(got, wanted)
    ? []
    : [`error: expected violations of ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`];
}

function checkFailure({ failsWith, before }: Expectation, answer: RawAnswer, text: string): string[] {
  const events = eventsOf(text);
  const items = (answer.headers.get("content-type") ?? "").startsWith("text/event-stream")
    ? events.map(({ data }) => jsonOf(data))
    : linesOf(text);
  const last = items.at(-1);
  const named = isObject(last) && isObject(last.error) ? last.error.code : undefined;
  const found: string[] = [];
  if (named === undefined && !answer.broken)
    found.push(`stream: expected its failure to show, got a good end after ${cut(text)}`);
  if (named !== undefined && named !== failsWith)
    found.push(`stream: expected failure ${failsWith}, got ${JSON.stringify(last)}`);
  if (before !== undefined)
    found.push(
      ...checkJson("stream", [...before], named === undefined ? (items as JsonValue[]) : (items.slice(0, -1) as JsonValue[])),
    );
  return found;
}

const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

function checkDeadline(expected: NonNullable<Received["deadlineMs"]> | null, got: string | undefined): string[] {
  if (expected === null) return checkText("backend: grpc-timeout", null, got);
  const parts = /^(\d+)([HMSmun])$/.exec(got ?? "");
  const ms = Number(parts?.[1] ?? Number.NaN) * (units[parts?.[2] ?? ""] ?? Number.NaN);
  if (ms >= expected.min && ms <= expected.max) return [];
  return [`backend: expected a deadline in ${expected.min} to ${expected.max} ms, got ${got ?? "none"}`];
}

interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string;
}

/** Server-sent events without comments; what has no data is no event. */
function eventsOf(text: string): ServerEvent[] {
  return text
    .split("\n\n")
    .map((block) => block.split("\n").filter((line) => line !== "" && !line.startsWith(":")))
    .filter((lines) => lines.some((line) => line.startsWith("data:")))
    .map((lines) => {
      const field = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ""));
      return { id: field("id")[0], event: field("event")[0], data: field("data").join("\n") };
    });
}

function linesOf(text: string): JsonValue[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => jsonOf(line) ?? `not JSON: ${line}`);
}

function jsonOf(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
