/** Whether what became of a request is what must become of it. */
import { create, type DescMessage, fromBinary, type JsonObject, type Message, toJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { stringifyExact } from "../exact-json.ts";
import { canonical } from "./canonical.ts";
import type { FuzzReply } from "./client.ts";
import type { MadeContract } from "./contract.ts";
import type { Expectation, FuzzRequest } from "./oracle.ts";
import { isExpressible, type Recorded } from "./recorder.ts";

/** What happened. */
export interface Outcome {
  readonly contract: MadeContract;
  readonly request: FuzzRequest;
  readonly expected: Expectation;
  /** Undefined: no answer. */
  readonly reply: FuzzReply | undefined;
  readonly calls: readonly Recorded[];
}

/** What is wrong with it; undefined: nothing. */
export function judge(outcome: Outcome): string | undefined {
  const { expected, reply, calls } = outcome;
  if (reply === undefined) return "no answer: a hang, or a broken connection";
  if (reply.status >= 500) return `status ${reply.status}`;
  if (expected.kind === "any") return undefined;
  if (expected.kind === "refusal") {
    if (calls.length > 0) return `the backend was reached, expected ${expected.status}`;
    if (reply.status !== expected.status) return `status ${reply.status}, expected ${expected.status}`;
    const allow = reply.headers.get("allow");
    return expected.allow === undefined || expected.allow === allow ? undefined : `allow: ${allow}, expected ${expected.allow}`;
  }
  const [call] = calls;
  if (call === undefined || calls.length > 1) return `${calls.length} calls, status ${reply.status}, expected one`;
  if (call.method !== expected.rule.method) return `called ${call.method}, expected ${expected.rule.method}`;
  if (!isSame(outcome.contract, expected.input, call.bytes, expected.bytes)) return "another message";
  if (reply.status !== 200) return `status ${reply.status}, expected 200`;
  return outcome.request.httpMethod === "HEAD" ? undefined : judgeAnswer(outcome, expected, call.bytes);
}

/** The backend answers with its request, so the answer says it once more. */
function judgeAnswer(
  { contract, reply }: Outcome,
  { rule, input }: Expectation & { kind: "call" },
  bytes: Uint8Array,
): string | undefined {
  const sent = fromBinary(input, bytes);
  const { types: registry } = contract;
  const answered = isExpressible(input, sent, registry) ? sent : create(input);
  const field = input.fields.find(({ name }) => name === rule.responseBody);
  const body = reply?.body ?? Buffer.alloc(0);
  if (field?.fieldKind === "message" && field.message.typeName === "google.api.HttpBody") {
    const value = reflect(input, answered, false).get(field).message as Message & { data: Uint8Array };
    return Buffer.compare(body, value.data) === 0 ? undefined : "another answer than the bytes";
  }
  const whole = toJson(input, answered, { registry }) as JsonObject;
  const defaults = toJson(input, create(input), { registry, alwaysEmitImplicit: true }) as JsonObject;
  const expected = field === undefined ? whole : (whole[field.jsonName] ?? defaults[field.jsonName] ?? null);
  return body.toString() === stringifyExact(expected) ? undefined : "another answer";
}

function isSame({ types }: MadeContract, type: DescMessage, a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0 || canonical(fromBinary(type, a), types) === canonical(fromBinary(type, b), types);
}
