import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { ByteBudget } from "./fetch-text.ts";
import { answering, fakeInstance } from "./metrics.fixture.ts";
import { Probe } from "./probe.ts";
import type { Target } from "./target.ts";
import { Vocabulary } from "./vocabulary.ts";

const sink = { counter: () => {}, calls: () => {} };

async function asked(target: Target, timeoutMs = 5000): Promise<Probe> {
  const probe = new Probe(target, undefined);
  const fetch = { timeoutMs, maxBytes: 100_000, budget: new ByteBudget(1_000_000) };
  const parts = { clock: Date.now, fetch, reading: { maxSamples: 1000, maxNew: 2000 }, since: 0 };
  const vocabulary = new Vocabulary();
  await probe.ask(parts, () => vocabulary, sink, new AbortController().signal);
  return probe;
}

const head = (type: string, more: Readonly<Record<string, string>> = {}) => ({ "content-type": type, ...more });

describe("an instance", () => {
  const table: readonly (readonly [string, RequestListener, string, RegExp])[] = [
    ["answers well", answering(() => "x 1\n"), "up", /^$/],
    ["answers nothing at all, which is a text", answering(() => ""), "up", /^$/],
    [
      "answers in ISO 8859-1",
      (_, response) => void response.end(Buffer.from([0x23, 0xe4, 0x0a])),
      "malformed",
      /^expected UTF-8$/,
    ],
    [
      "answers HTML",
      (_, response) => void response.writeHead(200, head("text/html")).end("<html>"),
      "malformed",
      /^expected text\/plain, got "text\/html"$/,
    ],
    ["answers HTML as text", answering(() => "<html>\n"), "malformed", /^line 1, column 1: expected a name, got "<html>"$/],
    [
      "answers zipped",
      (_, response) => void response.writeHead(200, head("text/plain", { "content-encoding": "gzip" })).end(gzipSync("x 1\n")),
      "malformed",
      /^expected no encoding, got "gzip"$/,
    ],
    ["answers 404", (_, response) => void response.writeHead(404).end(), "down", /^expected status 200, got 404$/],
    [
      "leads elsewhere",
      (_, response) => void response.writeHead(302, { location: "/x" }).end(),
      "down",
      /^expected status 200, got 302$/,
    ],
    ["hangs up", (request) => void request.socket.destroy(), "down", /^socket hang up$/],
    [
      "breaks off",
      (_, response) => void response.writeHead(200, { "content-length": "99" }).write("x 1\n", () => response.destroy()),
      "down",
      /aborted|broke off|hang up/,
    ],
    ["does not answer", () => {}, "slow", /^no answer after 200 ms$/],
    [
      "answers a line each 20 ms, for ever",
      (_, response) => {
        const timer = setInterval(() => response.write("# still here\n"), 20);
        response.on("close", () => clearInterval(timer));
      },
      "slow",
      /^no answer after 200 ms$/,
    ],
    [
      "says that it will answer too much",
      (_, response) => void response.writeHead(200, { "content-length": "100001" }).end(),
      "too-large",
      /^more than 100000 bytes$/,
    ],
    [
      "answers too many samples",
      answering(() => Array.from({ length: 1001 }, (_, at) => `x{a="${at}"} 1\n`).join("")),
      "too-large",
      /^more than 1000 samples$/,
    ],
  ];
  for (const [title, listener, state, problem] of table) {
    it(`that ${title} is ${state}`, async () => {
      await using instance = await fakeInstance("s", "s-1", listener);
      const probe = await asked(instance.target, state === "slow" ? 200 : 5000);
      assert.equal(probe.state, state, probe.problem);
      assert.match(probe.problem, problem);
      assert.equal(probe.failures, state === "up" ? 0 : 1);
    });
  }

  it("that answers a million series is cut off after the bytes that are allowed", async () => {
    let sent = 0;
    await using instance = await fakeInstance("s", "s-1", async (_, response) => {
      const gone = new Promise((resolve) => response.on("error", resolve).on("close", resolve));
      for (let at = 0; at < 1_000_000 && !response.destroyed; at += 1000) {
        const lines = Array.from({ length: 1000 }, (_unused, line) => `x{a="${at + line}"} 1\n`).join("");
        sent += lines.length;
        if (!response.write(lines)) await Promise.race([gone, new Promise((resolve) => response.once("drain", resolve))]);
      }
      response.end();
    });
    const probe = await asked(instance.target);
    assert.deepEqual([probe.state, probe.problem], ["too-large", "more than 100000 bytes"]);
    assert.ok(sent < 10_000_000, `${sent} bytes were sent`);
  });

  it("that is not there, or names no admin port, is down", async () => {
    const instance = await fakeInstance("s", "s-1", () => {});
    await instance[Symbol.asyncDispose]();
    const gone = await asked(instance.target);
    assert.equal(gone.state, "down");
    assert.match(gone.problem, /ECONNREFUSED/);
    const nameless = await asked({ instance: "s-2", service: "s", host: undefined, port: undefined });
    assert.deepEqual([nameless.state, nameless.problem], ["down", "it names no admin port"]);
  });

  it("that finds the bytes of all answers together used up is too large, and gives its own back", async () => {
    await using instance = await fakeInstance(
      "s",
      "s-1",
      answering(() => "# comment\n".repeat(5000)),
    );
    const budget = new ByteBudget(60_000);
    const fetch = { timeoutMs: 5000, maxBytes: 100_000, budget };
    const parts = { clock: Date.now, fetch, reading: { maxSamples: 1000, maxNew: 2000 }, since: 0 };
    const vocabulary = new Vocabulary();
    const probe = new Probe(instance.target, undefined);
    assert.equal(budget.take(20_000), true);
    await probe.ask(parts, () => vocabulary, sink, new AbortController().signal);
    assert.equal(probe.problem, "too many bytes in the answers of all instances together");
    budget.give(20_000);
    assert.equal(await probe.ask(parts, () => vocabulary, sink, new AbortController().signal), true);
    assert.equal(budget.take(60_000), true);
  });
});
