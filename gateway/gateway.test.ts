import assert from "node:assert/strict";
import { ContractError } from "./contracts.ts";
import { echoContracts } from "./fixtures/echo.ts";
import { outcome, startTestGateway, type TestGateway } from "./fixtures/harness.ts";

describe("gateway: a unary call over the socket", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ maxBodyBytes: 10_000, bodyTimeoutMs: 200 });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  const good: [target: string, body: string | undefined, text: string][] = [
    ["POST /v1/echo", '{"string":"hi","int64":9007199254740993}', '{"string":"hi","int64":"9007199254740993"}'],
    ["GET /v1/echo/ints/5/true?string=a+b", undefined, '{"string":"a b","bool":true,"int64":"5"}'],
    ["SEARCH /v1/echo/custom", '{"int32":1}', '{"int32":1}'],
    ["PROPFIND /v1/echo/every?int32=1", undefined, '{"int32":1}'],
    ["POST /echo.v1.EchoService/Plain", '{"int32":1}', '{"int32":1}'],
    ["GET /v1/echo/only/string/a%22b", undefined, '"a\\"b"'],
    ["POST /v1/echo/only/strings", '{"strings":["a"],"int32":1}', '["a"]'],
    ["POST /v1/echo/only/strings", "{}", "[]"],
    ["POST /v1/echo/only/child", '{"child":{"int32":1}}', '{"int32":1}'],
    ["POST /v1/echo/only/child", "{}", "null"],
    ["POST /v1/echo/only/map", "{}", "{}"],
    ["POST /v1/echo/only/int64", '{"int64":"5"}', '"5"'],
    ["POST /v1/echo/only/int64", "{}", '"0"'],
    ["POST /v1/echo/only/color", "{}", '"COLOR_UNSPECIFIED"'],
    ["POST /v1/echo/only/timestamp", '{"timestamp":"2030-01-01T00:00:00Z"}', '"2030-01-01T00:00:00Z"'],
    ["PATCH /v1/items/x", '{"int32":1}', '{"item":{"string":"x","int32":1},"updateMask":"int32"}'],
    ["GET http://other.example/v1/echo?int32=1", undefined, '{"int32":1}'],
  ];
  for (const [target, body, text] of good) {
    it(`answers ${target} ${body ?? ""} with ${text}`, async () => {
      const reply = await gateway.send(target, body === undefined ? {} : { body });
      assert.deepEqual([reply.status, reply.headers["content-type"], reply.text], [200, "application/json", text]);
    });
  }

  const bad: [target: string, body: string | undefined, expected: string][] = [
    ["GET /nope", undefined, '404 the path "/nope" does not exist'],
    ["GET /v1/echo/", undefined, '404 the path "/v1/echo/" does not exist'],
    ["PUT /v1/echo", "{}", "405 PUT is not among the methods of this path: GET, HEAD, OPTIONS, POST"],
    ["GET /v1/echo/strings/%zz", undefined, '400 path: expected two hexadecimal digits after "%" at character 18, got "%zz"'],
    ["GET /v1/echo?int32=x", undefined, '400 int32: expected a 32-bit integer, got "x"'],
    ["POST /v1/echo", '{"child":{"string":5}}', "400 child.string: expected string, got 5"],
    ["GET /v1/echo", "{}", "400 expected no body, got 2 bytes: the rule of this path maps none"],
    ["POST /v1/echo", `{"string":"${"x".repeat(10_000)}"}`, "413 body: expected at most 10000 bytes, got 10013 bytes"],
    ["POST /v1/sum", "{}", '400 [0]: expected an array of messages, "[", got "{"'],
    ["GET /v1/chat", undefined, "426 a stream both ways needs a WebSocket here, or gRPC"],
    ["GET /v1/fail/5?string=no+such", undefined, "404 no such"],
    ["GET /v1/fail/14?string=away", undefined, "503 away"],
  ];
  for (const [target, body, expected] of bad) {
    it(`answers ${target} ${(body ?? "").slice(0, 30)} with ${expected.slice(0, 60)}`, async () => {
      const reply = await gateway.send(target, body === undefined ? {} : { body });
      assert.equal(outcome(reply), expected);
      assert.equal(reply.headers["content-type"], "application/json");
    });
  }

  it("answers 405 with Allow", async () => {
    assert.equal((await gateway.send("DELETE /v1/echo")).headers.allow, "GET, HEAD, OPTIONS, POST");
  });

  it("answers OPTIONS with 204 and Allow, and a path that there is not with 404", async () => {
    const reply = await gateway.send("OPTIONS /v1/items/x");
    assert.deepEqual([reply.status, reply.headers.allow, reply.text], [204, "OPTIONS, PATCH, PUT", ""]);
    assert.equal((await gateway.send("OPTIONS /nope")).status, 404);
    assert.equal((await gateway.send("OPTIONS *")).status, 204);
  });

  it("derives HEAD from GET: the same head, no body", async () => {
    const reply = await gateway.send("HEAD /v1/echo?string=abc");
    assert.deepEqual([reply.status, reply.headers["content-length"], reply.text], [200, "16", ""]);
  });

  it("writes problem+json when it is asked for", async () => {
    const reply = await gateway.send("GET /v1/fail/9?string=no", { headers: { accept: "application/problem+json" } });
    assert.equal(reply.headers["content-type"], "application/problem+json");
    assert.deepEqual(reply.json, {
      type: "about:blank",
      title: "Bad Request",
      status: 400,
      detail: "no",
      code: 9,
      message: "no",
    });
  });

  it("passes RetryInfo on as Retry-After, and details by their fields", async () => {
    const reply = await gateway.send("GET /v1/fail/14?string=away&bool=true");
    assert.equal(reply.headers["retry-after"], "2");
    assert.deepEqual((reply.json as { details: unknown[] }).details, [
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.200s" },
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "BECAUSE", domain: "echo" },
    ]);
  });

  it("makes, keeps and passes on the correlation id, and continues the trace", async () => {
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const reply = await gateway.send("GET /v1/echo", { headers: { "x-correlation-id": "my-id", traceparent } });
    const made = await gateway.send("GET /v1/echo", { headers: { "x-correlation-id": "not mine" } });
    assert.equal(reply.headers["x-correlation-id"], "my-id");
    assert.match(String(made.headers["x-correlation-id"]), /^[0-9a-f-]{36}$/);
    const context = gateway.received.at(-2)?.context;
    assert.deepEqual(
      [context?.correlationId, context?.trace.traceId, context?.client.address],
      ["my-id", "a".repeat(32), "127.0.0.1"],
    );
    assert.notEqual(context?.trace.spanId, "b".repeat(16));
  });

  it("passes metadata under its prefix, and nothing of the mesh's", async () => {
    const headers = {
      "grpc-metadata-tenant": "acme",
      "x-heddle-caller": "forged",
      "grpc-metadata-x-heddle-caller": "forged",
      "x-tenant": "no",
    };
    const reply = await gateway.send("GET /v1/echo", { headers });
    const got = gateway.received.at(-1)?.header;
    assert.deepEqual([got?.get("tenant"), got?.get("x-heddle-caller"), got?.get("x-tenant")], ["acme", null, null]);
    assert.equal(reply.headers["grpc-metadata-x-answer"], "yes");
  });

  it("logs one line with route, status, code and correlation id", async () => {
    await gateway.send("GET /v1/echo/strings/secret-7?int32=x", { headers: { "x-correlation-id": "logged" } });
    const line = gateway.lines.find(({ correlationId }) => correlationId === "logged");
    const { http, route, status, rpc, code } = line ?? {};
    assert.deepEqual(
      [http, route, status, rpc, code],
      ["GET", "/v1/echo/strings/{string}", 400, "echo.v1.EchoService/Echo", "InvalidArgument"],
    );
  });
});

describe("gateway: boot", () => {
  it("does not start over contracts that conflict, and names both methods", async () => {
    const twice = { ...echoContracts, methods: [...echoContracts.methods, ...echoContracts.methods.slice(0, 1)] };
    await assert.rejects(startTestGateway({ contracts: twice }), (error) => {
      assert.ok(error instanceof ContractError);
      assert.match(
        error.mistakes[0] ?? "",
        /^echo.v1.EchoService.Echo and echo.v1.EchoService.Echo both map POST "\/v1\/echo": /,
      );
      return true;
    });
  });

  it("fails with EADDRINUSE on a taken port", async () => {
    await using gateway = await startTestGateway();
    await assert.rejects(startTestGateway({ port: gateway.port }), { code: "EADDRINUSE" });
  });
});
