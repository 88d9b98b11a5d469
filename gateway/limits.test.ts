import assert from "node:assert/strict";
import { connect } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { create, type Message, toBinary } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { encodedOf } from "#mesh/client/encoded.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { parsePathTemplate } from "./path-template.ts";
import { compileRouter } from "./router.ts";

/** How long the event loop may be blocked at most, in milliseconds. */
const blockedMs = 50;
/** What else runs on the machine blocks, too; of so many tries the best counts. */
const tries = 5;

describe("gateway/limits: what is meant to cost it time", () => {
  let gateway: TestGateway;
  let called = 0;
  before(async () => {
    gateway = await startTestGateway({
      transport: () => encoding(() => called++),
      bodyTimeoutMs: 1000,
      rateLimit: { perSecond: 0, burst: 0 },
    });
    // What is compiled at its first use is not what is measured here.
    await post(
      "/v1/echo",
      body("children", (index) => `{"int32":${index}}`, 3000),
    );
  });
  after(() => gateway[Symbol.asyncDispose]());

  const heads: [name: string, bytes: () => string, status: number][] = [
    ["a path of 64,000 slashes", () => `GET ${"/".repeat(64_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431],
    ["a path of 10,000 slashes", () => `GET ${"/".repeat(10_000)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, 404],
    ["10,000 query keys", () => `GET /v1/echo?${query(10_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431],
    ["2,000 query keys", () => `GET /v1/echo?${query(2000)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, 400],
    ["8 MB in one header", () => `GET /v1/echo HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(8_000_000)}\r\n\r\n`, 431],
    [
      "8 MB in 400,000 headers",
      () => `GET /v1/echo HTTP/1.1\r\nhost: a\r\n${"x-y: 0123456789abcd\r\n".repeat(400_000)}\r\n`,
      431,
    ],
  ];
  for (const [name, make, status] of heads) {
    it(`answers ${name} with ${status}, and blocks nobody`, async () => {
      const bytes = Buffer.from(make());
      const { value, blocked } = await measured(() => gateway.raw(bytes, "hold"));
      assert.match(value, new RegExp(`^HTTP/1.1 ${status} `));
      assert.ok(blocked <= blockedMs, `${blocked} ms`);
    });
  }

  // A request in a batch has its path in the body.
  const batched: [name: string, path: string, status: number][] = [
    ["a path of 8,000 slashes below **", `/v1/echo/files${"/".repeat(8000)}`, 404],
    ["a path of 4,000 segments below **", `/v1/echo/files${"/a".repeat(4000)}`, 200],
    ["800 values of one query key", `/v1/echo?${"strings=a&".repeat(800)}`, 200],
    ["a query key of 1,300 points", `/v1/echo?${"child.".repeat(1300)}`, 400],
    ["2,600 percent escapes", `/v1/echo/files/${"%C3%A9".repeat(1300)}`, 200],
  ];
  for (const [name, path, status] of batched) {
    it(`answers ${name} in a batch of 100 with ${status}, and blocks nobody`, async () => {
      const requests = Array.from({ length: 100 }, (_, id) => ({ id: String(id), method: "GET", path }));
      const text = Buffer.from(JSON.stringify({ requests }));
      const { value, blocked } = await measured(() => post("/api/v1/batch", text));
      const { responses = [] } = value.json as { responses?: { status: number }[] };
      assert.deepEqual([...new Set(responses.map((response) => response.status))], [status], value.text.slice(0, 500));
      assert.ok(blocked <= blockedMs, `${blocked} ms`);
    });
  }

  it("finds no rule for a path of 64,000 slashes or segments in less than 50 ms, on the first try", () => {
    const rows = ["/v1/{a=**}", "/v1/{a}/{b}/{c=x/**}", "/{a}/{b}/{c}/{d}", "/v1/**/end"].map((text) => {
      const template = parsePathTemplate(text, { allowSuffixAfterDeepWildcard: true });
      return { httpMethod: "GET", template, target: text, owner: text };
    });
    const router = compileRouter(rows);
    for (const path of [
      "/".repeat(64_000),
      `/v2${"/a".repeat(64_000)}`,
      `/v1${"/".repeat(64_000)}x/end`,
      `/v1/x/${"%41/".repeat(64_000)}end`,
    ]) {
      const before = process.threadCpuUsage();
      router.match("GET", path);
      const { user, system } = process.threadCpuUsage(before);
      assert.ok((user + system) / 1000 <= blockedMs, `${path.slice(0, 20)}: ${user + system} us`);
    }
  });

  const bodies: [name: string, text: () => string, status: number][] = [
    ["100,000 arrays in one another", () => "[".repeat(100_000), 400],
    ["100,000 objects in one another", () => '{"child":'.repeat(100_000), 400],
    ["100,000 arrays in a google.protobuf.Struct", () => `{"struct":{"a":${"[".repeat(100_000)}`, 400],
    ["4 MiB of one text", () => `{"string":"${"é".repeat(2_000_000)}"}`, 200],
    ["4 MiB of escapes in one text", () => `{"string":"${"\\u00e9".repeat(690_000)}"}`, 200],
    ["4 MiB of base64", () => `{"bytes":"${"A".repeat(4_000_000)}"}`, 200],
    ["4 MiB of blanks", () => `{${" ".repeat(4_000_000)}}`, 200],
    ["1,000,000 integers", () => `{"ints":[${items(() => "1", 1_000_000)}]}`, 200],
    ["400,000 texts", () => `{"strings":[${items(() => '"abcdef"', 400_000)}]}`, 200],
    ["40,000 messages", () => body("children", (index) => `{"int32":${index},"string":"a name of some length"}`, 40_000), 200],
    ["130,000 entries of a map", () => `{"stringMap":{${items((index) => `"key${index}":"v"`, 130_000)}}}`, 200],
    ["130,000 unknown fields", () => `{${items((index) => `"k${index}":0`, 130_000)}}`, 400],
    ["800,000 numbers in a google.protobuf.Struct", () => `{"struct":{"a":[${items(() => "1", 800_000)}]}}`, 200],
    ["100,000 times", () => `{"times":[${items(() => '"2030-01-01T00:00:00Z"', 100_000)}]}`, 200],
    ["more than 4 MiB", () => `{"string":"${"x".repeat(2 ** 22)}"}`, 413],
  ];
  for (const [name, make, status] of bodies) {
    it(`answers a body of ${name} with ${status}, and blocks nobody`, async function () {
      this.timeout(120_000);
      const text = Buffer.from(make());
      const { value, blocked } = await measured(() => post("/v1/echo", text));
      assert.equal(value.status, status, value.text.slice(0, 500));
      console.log(`      ${(text.length / 2 ** 20).toFixed(1)} MiB: blocked for at most ${blocked.toFixed(0)} ms`);
      assert.ok(blocked <= blockedMs, `${blocked} ms`);
    });
  }

  it("answers 200 bodies that come a byte at a time with 408 in a second, and others meanwhile", async function () {
    this.timeout(30_000);
    const head = "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    const { value, blocked } = await measured(async () => {
      const slow = Array.from({ length: 200 }, () => trickle(head));
      const quick = await gateway.send("GET /v1/echo?string=a");
      return { quick, answers: await Promise.all(slow) };
    }, 1);
    assert.equal(value.quick.status, 200);
    assert.deepEqual([...new Set(value.answers.map((answer) => answer.slice(0, 12)))], ["HTTP/1.1 408"]);
    assert.ok(blocked <= 4 * blockedMs, `${blocked} ms`);
  });

  it("answers 100 heads that come a byte at a time with 408 after 20 s", async function () {
    if (process.env.HEDDLE_SOAK !== "1") this.skip();
    this.timeout(60_000);
    const answers = await Promise.all(Array.from({ length: 100 }, () => trickle("GET /v1/echo HTTP/1.1\r\nhost: a\r\nx: ")));
    assert.deepEqual([...new Set(answers.map((answer) => answer.slice(0, 12)))], ["HTTP/1.1 408"]);
  });

  it("was asked for nothing by requests that it refused", () => {
    assert.ok(called > 0);
  });

  function post(path: string, text: string | Uint8Array) {
    return gateway.send(`POST ${path}`, { body: text });
  }

  /** Sends the beginning of a request and then a byte every 50 ms, until the answer. */
  function trickle(head: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(gateway.port, "127.0.0.1");
      const chunks: Buffer[] = [];
      const timer = setInterval(() => socket.write("x"), 50);
      socket.write(head);
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("error", () => {});
      socket.on("close", () => {
        clearInterval(timer);
        resolve(Buffer.concat(chunks).toString("latin1"));
      });
    });
  }
});

/**
 * What the work gave, and for how long the event loop was blocked at most meanwhile: the least of some tries. A delay in which this thread had
 * no processor, since others had it, is not one that the gateway made: the processor's time between two turns of the loop counts then.
 */
async function measured<T>(work: () => Promise<T>, most = tries): Promise<{ value: T; blocked: number }> {
  let blocked = Number.POSITIVE_INFINITY;
  for (let left = most; ; left--) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const turns = longestTurn();
    delay.enable();
    const value = await work();
    await new Promise((resolve) => setTimeout(resolve, 5));
    delay.disable();
    blocked = Math.min(blocked, delay.max / 1e6, turns.stop());
    if (blocked <= blockedMs || left === 1) return { value, blocked };
  }
}

/** The most milliseconds of processor time that this thread takes from one turn of the event loop to the next. */
function longestTurn(): { stop(): number } {
  let [longest, stopped] = [0, false];
  let before = process.threadCpuUsage();
  const turn = () => {
    const now = process.threadCpuUsage();
    longest = Math.max(longest, (now.user - before.user + now.system - before.system) / 1000);
    before = now;
    if (!stopped) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    stop() {
      stopped = true;
      return longest;
    },
  };
}

/** A backend that is sent to as over the mesh, and answers with an empty message. */
function encoding(called: () => void): Transport {
  return {
    async unary(method, _signal, _timeout, _header, input) {
      called();
      if (encodedOf(input as Message) === undefined) toBinary(method.input, input as never);
      const message = create(method.output);
      return { stream: false, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
    },
    stream: () => Promise.reject(new Error("there are no streams here")),
  };
}

function items(make: (index: number) => string, length: number): string {
  return Array.from({ length }, (_, index) => make(index)).join(",");
}

function body(field: string, make: (index: number) => string, length: number): string {
  return `{"${field}":[${items(make, length)}]}`;
}

function query(keys: number): string {
  return Array.from({ length: keys }, (_, index) => `k${index}=1`).join("&");
}
