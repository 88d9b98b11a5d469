import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { unauthenticated } from "#mesh/errors.ts";
import { type Backend, startBackend } from "./fixtures/backend.ts";
import { echoRoutes, type Received } from "./fixtures/echo.ts";
import { outcome, startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

describe("gateway: WebSockets", () => {
  const received: Received[] = [];
  let backend: Backend;
  let gateway: TestGateway;
  before(async () => {
    backend = await startBackend("echo.v1.EchoService", echoRoutes(received));
    gateway = await startTestGateway({
      transport: () => backend.transport,
      maxBodyBytes: 1000,
      streams: { pingMs: 50 },
      cors: { origins: ["https://a.example"] },
      verifier: {
        async verify(token) {
          if (token !== "ada") throw unauthenticated("TOKEN_INVALID", "no such token");
          const rights = { roles: [], scopes: [], sessionId: "s", degraded: false, expiresAt: Number.MAX_SAFE_INTEGER };
          return { kind: "user", id: token, token, ...rights };
        },
      },
    });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  const lost = `{"error":{"code":15,"message":"the count went wrong"}}`;
  const retry = '{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}';
  const cases: [path: string, sent: string[], frames: string[], code: number, reason: string][] = [
    ["/v1/chat", ['{"int32":1}', '{"int32":2}', ""], ['{"int32":1}', '{"int32":2}'], 1000, ""],
    ["/v1/chat", [""], [], 1000, ""],
    ["/v1/chat/me", ['{"int32":1}', '{"int32":2}', ""], ['{"int32":1,"left":"me"}', '{"int32":2}'], 1000, ""],
    ["/v1/chat/me", [""], ['{"left":"me"}'], 1000, ""],
    ["/v1/chat/me/child", ['{"int32":1}', ""], ['{"int32":1}'], 1000, ""],
    ["/v1/sum", ['{"int32":1}', '{"int32":2}', ""], ['{"int32":3,"int64":"2"}'], 1000, ""],
    ["/v1/sum/a/int32", ["1", "2", ""], ['{"int32":3,"int64":"2","strings":["a"]}'], 1000, ""],
    ["/v1/count/2", [], ['{"int32":1}', '{"int32":2}'], 1000, ""],
    ["/v1/counts/2", [], ["1", "2"], 1000, ""],
    ["/v1/counting", ['{"int32":2}'], ['{"int32":1}', '{"int32":2}'], 1000, ""],
    ["/v1/files/x/pieces", [], ["<one,>", "<two>"], 1000, ""],
    ["/v1/files/x/wrapped", [], ["<1,>", "<2>"], 1000, ""],
    ["/v1/count/1?string=fail", [], ['{"int32":1}', lost], 4015, "the count went wrong"],
    ["/v1/count/0?string=fail", [], [lost], 4015, "the count went wrong"],
    [
      "/v1/chat",
      ['{"string":"fail"}'],
      ['{"string":"fail"}', `{"error":{"code":10,"message":"asked to","details":[${retry}]}}`],
      4010,
      "asked to",
    ],
  ];
  for (const [path, sent, frames, code, reason] of cases) {
    it(`answers ${path} ${JSON.stringify(sent)} with ${JSON.stringify(frames).slice(0, 80)} and ${code}`, async () => {
      assert.deepEqual(await talk(gateway, path, sent), { frames, code, reason });
    });
  }

  const mistakes: [path: string, sent: string[], code: number, message: string][] = [
    ["/v1/chat", ["{}", '{"int32":"x"}'], 4003, '[1].int32: expected a 32-bit integer, got "x"'],
    ["/v1/sum", ["{}", "{}", "nope"], 4003, '[2]: body: expected a JSON value, got "n" (line 1, column 1)'],
    ["/v1/counting", ["{}", "{}"], 4003, "[1]: expected no more messages from the client"],
    ["/v1/count/1000000?bool=true", ["{}"], 4003, "[0]: expected no more messages from the client"],
    ["/v1/counting", [""], 4003, "[0]: expected the request message, got none"],
  ];
  for (const [path, sent, code, message] of mistakes) {
    it(`ends ${path} ${JSON.stringify(sent)} with ${code} and ${message.slice(0, 50)}`, async () => {
      const { frames, ...end } = await talk(gateway, path, sent);
      const { error } = JSON.parse(frames.at(-1) ?? "{}");
      assert.deepEqual([end, error.code, error.message], [{ code, reason: message }, 3, message]);
      await until(() => received.at(-1)?.signal.aborted !== false);
    });
  }

  it("refuses a binary frame where JSON is wanted", async () => {
    const { code, reason } = await talk(gateway, "/v1/chat", [Buffer.from("{}")]);
    assert.deepEqual([code, reason], [4003, "[0]: expected a text frame with JSON, got a binary frame"]);
  });

  it("takes the pieces of an upload as binary frames", async () => {
    const { frames, code } = await talk(gateway, "/v1/uploads/x", [Buffer.from("one"), Buffer.from("three"), ""]);
    assert.deepEqual([JSON.parse(frames[0] ?? "").ints, code], [[3, 5], 1000]);
  });

  it("closes with 1009 for a frame over the limit, and cancels the backend", async () => {
    const { code } = await talk(gateway, "/v1/chat", ["{}", `"${"x".repeat(1000)}"`]);
    assert.equal(code, 1009);
    await until(() => received.at(-1)?.signal.aborted === true);
  });

  it("ends a call whose deadline passes with 4004", async () => {
    const { code, reason } = await talk(gateway, "/v1/chat", [], { headers: { "grpc-timeout": "50m" } });
    assert.deepEqual([code, reason], [4004, "the deadline of the call has passed"]);
  });

  it("cuts a reason of 200 characters between two of them", async () => {
    const text = "é".repeat(100);
    const { reason } = await talk(gateway, `/v1/counting`, [`{"${text}":1}`]);
    assert.ok(Buffer.byteLength(reason) <= 123 && reason.startsWith("[0].é") && reason.endsWith("é..."), reason);
  });

  const refusals: [path: string, headers: Record<string, string>, answer: string][] = [
    ["/v1/echo", {}, "400 echo.v1.EchoService.Echo does not stream: send a plain request"],
    ["/v1/nope", {}, '404 the path "/v1/nope" does not exist'],
    ["/v1/count/x", {}, '400 int32: expected a 32-bit integer, got "x"'],
    ["/v1/chat", { "sec-websocket-version": "7" }, "426 WebSocket handshake: Missing or invalid Sec-WebSocket-Version header"],
    ["/v1/chat", { "sec-websocket-key": "x" }, "400 WebSocket handshake: Missing or invalid Sec-WebSocket-Key header"],
    ["/v1/chat", { origin: "https://b.example" }, "403 pages of this origin may not open WebSockets here"],
    ["/v1/chat", { authorization: "Bearer eve" }, "101 "],
  ];
  for (const [path, headers, answer] of refusals) {
    it(`answers a handshake for ${path} with ${JSON.stringify(headers)} by ${answer}`, async () => {
      const upgrade = {
        ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
        "sec-websocket-key": Buffer.alloc(16).toString("base64"),
      };
      const lines = Object.entries({ host: "a", ...upgrade, ...headers }).map(([name, value]) => `${name}: ${value}`);
      const text = await gateway.raw(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      const [head = "", body = ""] = text.split("\r\n\r\n");
      const status = Number(head.split(" ")[1]);
      assert.equal(outcome({ status, headers: {}, text: body, json: status === 101 ? {} : JSON.parse(body) }), answer);
    });
  }

  it("lets pages of its own host and of allowed origins in", async () => {
    for (const origin of ["https://a.example", `http://127.0.0.1:${gateway.port}`]) {
      assert.equal((await talk(gateway, "/v1/chat", [""], { origin })).code, 1000);
    }
  });

  it("knows a page by the subprotocol bearer.<token>, and chooses heddle.json", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/chat`, ["heddle.json", "bearer.ada"]);
    socket.on("open", () => socket.send("{}"));
    await new Promise((resolve) => socket.once("message", resolve));
    assert.deepEqual([socket.protocol, received.at(-1)?.header.get("authorization")], ["heddle.json", "Bearer ada"]);
    socket.terminate();
  });

  it("cancels the backend within 100 ms when the client goes away, with or without a goodbye", async () => {
    for (const leave of ["close", "terminate"] as const) {
      const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/chat`);
      socket.on("open", () => socket.send("{}"));
      await new Promise((resolve) => socket.once("message", resolve));
      const start = performance.now();
      socket[leave]();
      await until(() => received.at(-1)?.signal.aborted === true);
      assert.ok(performance.now() - start < 100);
    }
  });

  it("gives up a client that does not answer pings, and keeps one that does", async () => {
    const options = { autoPong: false };
    const count = received.length;
    const silent = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/chat`, options);
    const quiet = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/chat`);
    let pings = 0;
    quiet.on("ping", () => pings++);
    for (const socket of [silent, quiet]) socket.on("open", () => socket.send("{}"));
    await new Promise((resolve) => silent.once("close", resolve));
    await until(() => pings > 3);
    assert.deepEqual([quiet.readyState, received.length - count], [quiet.OPEN, 2]);
    quiet.terminate();
  });

  it("logs one line with the status of the call when the connection ends", async () => {
    await talk(gateway, "/v1/count/1?string=fail", [], { headers: { "x-correlation-id": "socket" } });
    await until(() => gateway.lines.some(({ correlationId }) => correlationId === "socket"));
    const line = gateway.lines.find(({ correlationId }) => correlationId === "socket");
    assert.deepEqual([line?.status, line?.code, line?.route], [101, "DataLoss", "/v1/count/{int32}"]);
  });

  it("holds the backend back while the client reads nothing, and the client while the backend reads nothing", async () => {
    let made = 0;
    let taken = 0;
    const text = "x".repeat(100_000);
    await using endless = await startBackend("echo.v1.EchoService", (router) =>
      echoRoutes([])({
        ...router,
        service: (service, methods) =>
          router.service(service, {
            ...methods,
            async *count() {
              for (; made < 1000; made++) yield { string: text };
            },
            async *chat(messages: AsyncIterable<unknown>) {
              yield {};
              await new Promise((resolve) => setTimeout(resolve, 300));
              for await (const _ of messages) taken++;
            },
          } as never),
      }),
    );
    await using over = await startTestGateway({ transport: () => endless.transport });
    const reader = new WebSocket(`ws://127.0.0.1:${over.port}/v1/count/1`);
    await new Promise((resolve) => reader.once("open", resolve));
    reader.pause();
    assert.ok((await standstill(() => made)) < 500, `${made} messages of 100 KB were made for a client that reads none`);
    reader.terminate();
    const writer = new WebSocket(`ws://127.0.0.1:${over.port}/v1/chat`);
    await new Promise((resolve) => writer.once("message", resolve));
    for (let index = 0; index < 500; index++) writer.send(JSON.stringify({ string: text }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(writer.bufferedAmount > 20 * 2 ** 20, `${writer.bufferedAmount} of 50 MB are still with the client`);
    writer.send("");
    await new Promise((resolve) => writer.once("close", resolve));
    assert.equal(taken, 500);
  });
});

interface Talk {
  readonly frames: string[];
  readonly code: number;
  readonly reason: string;
}

/** Sends frames, and answers with what came until the connection ended; binary frames stand in angle brackets. */
function talk(gateway: TestGateway, path: string, sent: readonly (string | Buffer)[], options: object = {}): Promise<Talk> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, options);
  const frames: string[] = [];
  socket.on("open", () => {
    for (const frame of sent) socket.send(frame);
  });
  socket.on("message", (data: Buffer, binary) => frames.push(binary ? `<${data}>` : data.toString()));
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code, reason) => resolve({ frames, code, reason: reason.toString() }));
  });
}

/** The value at which a count stands still. */
async function standstill(count: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 10; same = last === count() && last > 0 ? same + 1 : 0) {
    last = count();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return last;
}
