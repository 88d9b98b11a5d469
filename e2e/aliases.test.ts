/** The routes that older programs call: each leads to its method and answers in the words that they know. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { contractPlan } from "../cli/commands/contract-plan.ts";
import { platform as processes } from "../services/platform.ts";
import { type AliasCall, anything } from "./alias-calls/alias-call.ts";
import { aliasCalls } from "./alias-calls.ts";
import { type Answer, request } from "./http.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

const plan = contractPlan(join(import.meta.dirname, ".."));

describe("alias routes, each with an example call", () => {
  let platform: Platform;
  const answers = new Map<AliasCall, Answer>();
  const kept = new Map<string, string>();

  /** Puts kept values in the place of their names, in texts at any depth. */
  function filled<T>(value: T): T {
    const text = JSON.stringify(value)?.replaceAll(/\{(\w+)\}/g, (_, name) => kept.get(name) ?? `no ${name} was kept`);
    return text === undefined ? value : JSON.parse(text);
  }

  before(async function () {
    this.timeout(180_000);
    platform = await startPlatform(
      {},
      processes.map(({ name }) => name),
    );
    for (const row of aliasCalls) {
      const [method = "", path = ""] = filled(row.call).split(" ");
      const token = filled(row.token ?? "{token}");
      const url = `${platform.gateway}${path}`;
      const parts: { readonly token?: string; readonly body?: unknown } = {
        ...(token === "" ? {} : { token }),
        ...(row.body === undefined ? {} : { body: filled(row.body) }),
      };
      const ask = () =>
        row.stream === true
          ? firstOf(method, url, token, parts.body)
          : row.raw === undefined
            ? request(method, url, parts)
            : upload(url, token, row.raw);
      let answer = await ask();
      if (row.patient === true) {
        const good = () => isDeepStrictEqual(shaped(answer.body, filled(row.answer)), filled(row.answer));
        await until(
          `${row.call} to be as it must be`,
          async () => {
            if (good()) return true;
            answer = await ask();
            return good();
          },
          20_000,
        ).catch(() => undefined);
      }
      answers.set(row, answer);
      for (const [name, at] of Object.entries(row.keep ?? {})) kept.set(name, String(valueAt(answer.body, at)));
    }
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  for (const row of aliasCalls) {
    it(`${row.call} is ${row.rpc}, and answers ${row.status ?? 200}`, () => {
      assert.equal(methodOf(row.call), row.rpc);
      const { status, body } = answers.get(row) ?? assert.fail("it was not called");
      assert.equal(status, row.status ?? 200, JSON.stringify(body));
      const expected = filled(row.answer);
      assert.deepEqual(shaped(body, expected), expected, JSON.stringify(body));
    });
  }

  it("has a row for every additional binding of every contract", () => {
    const called = new Set(aliasCalls.map(({ call }) => entryOf(call)?.template));
    const missing = plan.contracts.methods
      .flatMap(({ http }) => http?.additionalBindings ?? [])
      .flatMap(({ pattern }) => (typeof pattern.value === "string" ? [`${pattern.case?.toUpperCase()} ${pattern.value}`] : []))
      .filter((route) => !called.has(route));
    assert.deepEqual(missing, []);
  });
});

/** The first message of a stream of NDJSON. */
async function firstOf(method: string, url: string, token: string, asked: unknown): Promise<Answer> {
  const leave = new AbortController();
  const headers = { authorization: `Bearer ${token}`, accept: "application/x-ndjson", "content-type": "application/json" };
  const signal = AbortSignal.any([leave.signal, AbortSignal.timeout(20_000)]);
  const body = asked === undefined ? null : JSON.stringify(asked);
  const response = await fetch(url, { method, headers, signal, body });
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) break;
  }
  leave.abort();
  return { status: response.status, headers: response.headers, body: JSON.parse(text.split("\n")[0] ?? "") };
}

async function upload(
  url: string,
  token: string,
  { type, text }: { readonly type: string; readonly text: string },
): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, "content-type": type };
  const response = await fetch(url, { method: "POST", headers, body: text, signal: AbortSignal.timeout(20_000) });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** The row of the gateway's table that a call meets. */
function entryOf(call: string): { readonly template: string; readonly rpc: string } | undefined {
  const [method = "", url = ""] = call.split(" ");
  const match = plan.router.match(method, url.replaceAll(/\{\w+\}/g, "x").split("?")[0] ?? "");
  if (match.kind !== "found" || match.entry.target.kind !== "rpc") return undefined;
  const { httpMethod, template, target } = match.entry;
  return {
    template: `${httpMethod} ${template.text}`,
    rpc: `${target.route.method.parent.typeName}/${target.route.method.name}`,
  };
}

function methodOf(call: string): string | undefined {
  return entryOf(call)?.rpc;
}

function valueAt(body: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], body);
}

/** What of `actual` is asked for by `expected`: the members that it names, and its own words for what may be anything. */
function shaped(actual: unknown, expected: unknown): unknown {
  if (expected === anything) return actual === undefined ? "nothing" : anything;
  if (Array.isArray(expected) && Array.isArray(actual)) return actual.map((item, at) => shaped(item, expected[at]));
  if (!isObject(expected) || !isObject(actual)) return actual;
  return Object.fromEntries(Object.keys(expected).map((key) => [key, shaped(actual[key], expected[key])]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
