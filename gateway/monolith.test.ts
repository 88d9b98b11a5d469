import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { outcome, startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { isUnder, placeOf } from "./monolith-choice.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe("gateway: the way to a monolith", () => {
  const seen: Seen[] = [];
  let monolith: Server;
  let url: URL;
  let reply: (response: ServerResponse) => void;
  before(async () => {
    monolith = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { method = "", url = "", headers } = request;
      seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      reply(response);
    });
    await new Promise<void>((resolve) => monolith.listen(0, "127.0.0.1", resolve));
    url = new URL(`http://127.0.0.1:${(monolith.address() as AddressInfo).port}`);
  });
  after(async () => {
    monolith.closeAllConnections();
    await new Promise((resolve) => monolith.close(resolve));
  });
  beforeEach(() => {
    seen.length = 0;
    reply = (response) =>
      response.writeHead(202, { "content-type": "text/plain", "x-heddle-caller": "no", "x-own": "yes" }).end("mono");
  });

  function start(percent = 0, more: { timeoutMs?: number; trustedHops?: number } = {}): Promise<TestGateway> {
    const { trustedHops = 0 } = more;
    return startTestGateway({ trustedHops, duties: { monolith: { url, prefixes: ["/v1/echo", "/old"], percent, ...more } } });
  }

  it("passes paths under a prefix that no service has on, as they came, with who sent them", async () => {
    await using gateway = await start();
    const headers = {
      ...{ host: "shop.example", authorization: "Bearer x", cookie: "a=b", connection: "x-drop", "x-drop": "1", te: "trailers" },
      ...{ "x-heddle-caller": "forged", "x-forwarded-for": "6.6.6.6", forwarded: "for=6.6.6.6", "x-correlation-id": "c-1" },
    };
    const answer = await gateway.send("POST /old/a%2Fb//c?x=1&y=%20", { headers, body: '{"a": 1}' });
    assert.deepEqual([answer.status, answer.text, answer.headers["x-own"]], [202, "mono", "yes"]);
    assert.deepEqual([answer.headers["x-heddle-caller"], answer.headers["x-correlation-id"]], [undefined, "c-1"]);
    const [got] = seen;
    assert.deepEqual([got?.method, got?.url, got?.body], ["POST", "/old/a%2Fb//c?x=1&y=%20", '{"a": 1}']);
    const { authorization, cookie, te, forwarded, ...passed } = got?.headers ?? {};
    assert.deepEqual([authorization, cookie, te, forwarded], ["Bearer x", "a=b", undefined, undefined]);
    assert.deepEqual(
      [
        passed["x-drop"],
        passed["x-heddle-caller"],
        passed["x-forwarded-for"],
        passed["x-forwarded-host"],
        passed["x-forwarded-proto"],
      ],
      [undefined, undefined, "127.0.0.1", "shop.example", "http"],
    );
    const line = gateway.lines.at(-1);
    assert.deepEqual([line?.route, line?.status, line?.correlationId], ["monolith", 202, "c-1"]);
  });

  it("keeps what trusted proxies said of the client", async () => {
    await using gateway = await start(0, { trustedHops: 1 });
    await gateway.send("GET /old", {
      headers: { "x-forwarded-for": "6.6.6.6, 10.0.0.1", "x-forwarded-proto": "https", "x-forwarded-host": "a.example" },
    });
    const { headers } = seen[0] ?? { headers: {} as IncomingHttpHeaders };
    assert.deepEqual(
      [headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["x-forwarded-host"]],
      ["10.0.0.1, 127.0.0.1", "https", "a.example"],
    );
  });

  it("leaves paths that services have, its own, and those under no prefix here; methods that none has go on", async () => {
    await using gateway = await start();
    const statuses = [];
    for (const target of [
      "GET /v1/echo",
      "GET /health",
      "GET /older",
      "OPTIONS /v1/echo",
      "DELETE /v1/echo",
      "GET /v1/echo/x/y/z",
    ]) {
      statuses.push((await gateway.send(target)).status);
    }
    assert.deepEqual(statuses, [200, 200, 404, 204, 202, 202]);
    assert.deepEqual(
      seen.map(({ method, url }) => `${method} ${url}`),
      ["DELETE /v1/echo", "GET /v1/echo/x/y/z"],
    );
  });

  it("sends about 30 of 100 users there, each always to the same side, and clients without credentials by cookie", async () => {
    await using gateway = await start(30);
    const token = (user: number) => `Bearer h.${Buffer.from(JSON.stringify({ sub: `user-${user}` })).toString("base64url")}.s`;
    const side = async (headers: Record<string, string>) => (await gateway.send("GET /v1/echo", { headers })).status;
    const first = [];
    const second = [];
    for (let user = 0; user < 100; user++) first.push(await side({ authorization: token(user) }));
    for (let user = 0; user < 100; user++) second.push(await side({ authorization: token(user) }));
    assert.deepEqual(first, second);
    const there = first.filter((status) => status === 202).length;
    assert.ok(there >= 15 && there <= 45, `${there}`);
    const anonymous = await gateway.send("GET /v1/echo");
    assert.match(
      String(anonymous.headers["set-cookie"]),
      /^heddle-side=\d{1,2}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/,
    );
    assert.deepEqual([await side({ cookie: "heddle-side=29" }), await side({ cookie: "heddle-side=30" })], [202, 200]);
  });

  it("answers 502 when it cannot be reached, and 504 when it is slow, as google.rpc.Status", async () => {
    await using gateway = await start(0, { timeoutMs: 200 });
    reply = () => {};
    assert.equal(outcome(await gateway.send("GET /old")), "504 the monolith did not answer in time");
    reply = (response) => response.destroy();
    assert.equal(outcome(await gateway.send("POST /old", { body: "{}" })), "502 the monolith cannot be reached");
    await using nowhere = await startTestGateway({
      duties: { monolith: { url: new URL("http://127.0.0.1:1"), prefixes: ["/"], percent: 0 } },
    });
    const answer = await nowhere.send("GET /old");
    assert.equal(outcome(answer), "502 the monolith cannot be reached");
    assert.equal(nowhere.lines.at(-1)?.code, "Unavailable");
  });

  it("passes large bodies and answers on as they come, and errors as they are", async () => {
    await using gateway = await start();
    reply = (response) => response.writeHead(503, { "retry-after": "3" }).end("y".repeat(3_000_000));
    const answer = await gateway.send("POST /old/file", { body: "x".repeat(6_000_000), headers: { "content-type": "text/csv" } });
    assert.deepEqual([answer.status, answer.text.length, answer.headers["retry-after"]], [503, 3_000_000, "3"]);
    assert.deepEqual([seen.length, seen[0]?.body.length], [1, 6_000_000]);
  });

  it("serves its paths in a batch too", async () => {
    await using gateway = await start();
    const body = JSON.stringify({
      requests: [
        { method: "POST", path: "/old/1", body: { a: 1 } },
        { method: "GET", path: "/v1/echo?int32=1" },
      ],
    });
    const answer = await gateway.send("POST /api/v1/batch", { body });
    const { responses } = answer.json as { responses: { status: number; body: unknown }[] };
    assert.deepEqual(
      responses.map(({ status, body }) => [status, body]),
      [
        [202, "mono"],
        [200, { int32: 1 }],
      ],
    );
  });

  it("counts its requests against the client's rate", async () => {
    const duties = { monolith: { url, prefixes: ["/old"], percent: 0 } };
    await using gateway = await startTestGateway({ duties, rateLimit: { perSecond: 1, burst: 2 }, clock: () => 0 });
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await gateway.send("GET /old")).status);
    assert.deepEqual(statuses, [202, 202, 429]);
  });

  it("knows what is under a prefix", () => {
    const cases: [prefix: string, path: string, under: boolean][] = [
      ["/a", "/a", true],
      ["/a", "/a/b", true],
      ["/a", "/ab", false],
      ["/a/", "/a/b", true],
      ["/", "/x", true],
    ];
    for (const [prefix, path, under] of cases) assert.equal(isUnder([prefix], path), under, `${prefix} ${path}`);
  });

  it("gives a user the same place with every token, and an address one that the client is to remember", () => {
    const token = (sub: string, iat: number) => ({
      authorization: `Bearer h.${Buffer.from(JSON.stringify({ sub, iat })).toString("base64url")}.s`,
    });
    assert.deepEqual(placeOf(token("ada", 1), "1.1.1.1"), placeOf(token("ada", 2), "2.2.2.2"));
    assert.equal(placeOf({}, "1.1.1.1").isNew, true);
    assert.deepEqual(placeOf({ cookie: "x=1; heddle-side=7" }, "1.1.1.1"), { place: 7, isNew: false });
  });
});
