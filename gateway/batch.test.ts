import assert from "node:assert/strict";
import { outcome, startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";
import { type ShopBackend, shopBackend, shopContracts } from "./fixtures/shop.ts";

interface Answer {
  readonly id: string;
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

describe("gateway: batches", () => {
  let backend: ShopBackend;
  let gateway: TestGateway;
  beforeEach(async () => {
    backend = shopBackend();
    gateway = await startTestGateway({
      contracts: shopContracts(),
      transport: () => backend.transport,
      staticApiKeys: ["ops:k1", "other:k2"],
      rateLimit: { perSecond: 0.001, burst: 15 },
      clock: () => 0,
    });
  });
  afterEach(() => gateway[Symbol.asyncDispose]());

  async function batch(requests: unknown, headers: Record<string, string> = {}): Promise<Answer[]> {
    const reply = await gateway.send("POST /api/v1/batch", { headers, body: JSON.stringify({ requests }) });
    assert.equal(reply.status, 200, reply.text);
    return (reply.json as { responses: Answer[] }).responses;
  }

  it("answers each request for itself, in order, with status, headers and body", async () => {
    const answers = await batch([
      { method: "GET", path: "/api/v1/items/1?fields=id" },
      { id: "made", method: "POST", path: "/api/v1/items", body: { id: "2", price: "9007199254740993" } },
      { method: "GET", path: "/nope" },
      { method: "GET", path: "/api/v1/items/1", headers: { "If-None-Match": '"one"' } },
      { method: "DELETE", path: "/health" },
      { method: "POST", path: "/api/v1/items", headers: { "content-type": "text/plain" }, body: "x" },
    ]);
    assert.deepEqual(
      answers.map(({ id, status }) => [id, status]),
      [
        ["0", 200],
        ["made", 201],
        ["2", 404],
        ["3", 304],
        ["4", 405],
        ["5", 415],
      ],
    );
    assert.deepEqual(answers[0]?.body, { id: "1" });
    assert.deepEqual(
      [answers[1]?.body, answers[1]?.headers.location],
      [{ id: "2", price: "9007199254740993" }, "/api/v1/items/2"],
    );
    assert.equal("body" in (answers[3] ?? {}), false);
    assert.equal(answers[4]?.headers.allow, "GET, HEAD, OPTIONS");
  });

  it("passes numbers on as they were written", async () => {
    const body = '{"requests":[{"method":"POST","path":"/api/v1/items","body":{"id":"2","price":9007199254740993}}]}';
    const reply = await gateway.send("POST /api/v1/batch", { body });
    assert.match(reply.text, /"price":"9007199254740993"/);
  });

  it("checks each one's credentials, its own before the batch's, and the rate of each", async () => {
    const basket = { method: "GET", path: "/api/v1/basket" };
    const own = await batch(
      [basket, { ...basket, headers: { "X-API-Key": "k2" } }, { ...basket, headers: { "X-API-Key": "bad" } }],
      {
        "x-api-key": "k1",
      },
    );
    assert.deepEqual(
      own.map(({ status }) => status),
      [200, 200, 401],
    );
    assert.equal((await batch([basket]))[0]?.status, 401);
    const many = await batch(Array(20).fill({ method: "GET", path: "/api/v1/items/1" }));
    assert.deepEqual(
      [many.filter(({ status }) => status === 200).length, many.filter(({ status }) => status === 429).length],
      [15, 5],
    );
  });

  it("counts the address of the batch's client, whatever a request says", async () => {
    await batch(
      [
        {
          method: "GET",
          path: "/api/v1/items/1",
          headers: { "x-forwarded-for": "9.9.9.9", host: "evil", "x-correlation-id": "forged" },
        },
      ],
      {
        "x-correlation-id": "mine",
      },
    );
    const lines = gateway.lines.filter(({ correlationId }) => correlationId === "mine");
    assert.deepEqual(
      lines.map(({ route, client }) => [route, client]),
      [
        ["/api/v1/items/{id}", "127.0.0.1"],
        ["/api/v1/batch", "127.0.0.1"],
      ],
    );
  });

  it("refuses streams and batches in a batch", async () => {
    const inner = { requests: [{ method: "GET", path: "/health" }] };
    const answers = await batch([
      { method: "GET", path: "/api/v1/items:watch" },
      { method: "POST", path: "/api/v1/batch", body: inner },
    ]);
    assert.deepEqual(
      answers.map(({ status, body }) => [status, (body as { message: string }).message]),
      [
        [400, "a stream cannot be part of a batch"],
        [400, "a batch cannot be part of another"],
      ],
    );
  });

  it("works on at most ten at a time", async () => {
    const gate = Promise.withResolvers<void>();
    backend.gate = gate.promise;
    const running = batch(Array(15).fill({ method: "GET", path: "/api/v1/items/1" }));
    await until(() => backend.calls.length === 10);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(backend.calls.length, 10);
    gate.resolve();
    assert.equal((await running).length, 15);
  });

  it("ends every request of a client that goes away", async () => {
    backend.gate = Promise.withResolvers<void>().promise;
    const leaver = new AbortController();
    const requests = Array(3).fill({ method: "GET", path: "/api/v1/items/1" });
    const left = gateway
      .send("POST /api/v1/batch", { body: JSON.stringify({ requests }), signal: leaver.signal })
      .catch(() => undefined);
    await until(() => backend.calls.length === 3);
    leaver.abort();
    await left;
    await until(() => gateway.lines.filter(({ code }) => code === "Canceled").length >= 3);
  });

  const bad: [body: string, expected: string][] = [
    ["{}", "400 requests: expected an array of requests, got an object"],
    ['{"requests":[]}', "400 requests: expected 1 to 100 requests, got 0"],
    [`{"requests":[${Array(101).fill('{"method":"GET","path":"/"}')}]}`, "400 requests: expected 1 to 100 requests, got 101"],
    ['{"requests":[{"method":"get","path":"/"}]}', '400 requests[0].method: expected an HTTP method in capitals, got "get"'],
    [
      '{"requests":[{"method":"GET"}]}',
      "400 requests[0].path: expected a path that starts with a slash, with its query, got nothing",
    ],
    ['{"requests":[{"method":"GET","path":"/","url":1}]}', "400 requests[0].url: a request has no such field"],
    [
      '{"requests":[{"id":"a","method":"GET","path":"/"},{"id":"a","method":"GET","path":"/"}]}',
      '400 requests: the id "a" stands here twice',
    ],
    ['{"requests":[1],"x":2}', "400 x: a batch has no such field; requests[0]: expected an object, got 1"],
    ["{", "400 body: expected a key in double quotes, got the end (line 1, column 2)"],
  ];
  for (const [body, expected] of bad) {
    it(`answers ${body.slice(0, 60)} with ${expected}`, async () => {
      assert.equal(outcome(await gateway.send("POST /api/v1/batch", { body })), expected);
    });
  }
});
