import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { currentContext } from "../context.ts";
import { reasonOf } from "../errors.ts";
import { EchoService } from "./echo.fixture.ts";
import { envelope, framed, rawCall } from "./raw-call.fixture.ts";
import { asService, refusal, startEcho, until } from "./server.fixture.ts";

const echoText = ({ text }: { text: string }) => ({ text });
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const texts = async (stream: AsyncIterable<{ text: string }>) => (await Array.fromAsync(stream)).map(({ text }) => text);
const unaryPath = "/test.v1.EchoService/Unary";
const hello = framed(EchoService.method.unary.input, create(EchoService.method.unary.input, { text: "hello" }));

describe("validation", () => {
  const violations = (error: ConnectError) =>
    error.findDetails(BadRequestSchema)[0]?.fieldViolations.map((violation) => [violation.field, violation.description]);

  it("items ['ok', 'too long'] is INVALID_ARGUMENT naming items[1], before the handler", async () => {
    let handled = 0;
    await using echo = await startEcho({
      unary: () => ({ text: String(++handled) }),
      async *server() {
        yield { text: String(++handled) };
      },
    });
    const bad = { items: ["ok", "too long"] };
    const expected = [Code.InvalidArgument, [["items[1]", "must be at most 5 characters"]]];
    const calls = [echo.client().unary(bad), texts(echo.client().server(bad)), echo.client("connect").unary(bad)];
    const errors = await Promise.all(calls.map((call) => refusal(call)));
    assert.deepEqual(
      errors.map((error) => [error.code, violations(error)]),
      [expected, expected, expected],
    );
    assert.equal(handled, 0);
  });

  it("the second message of a client stream is held to the rules as well", async () => {
    const seen: string[] = [];
    await using echo = await startEcho({
      async client(requests) {
        for await (const { text } of requests) seen.push(text);
        return {};
      },
    });
    async function* inputs() {
      yield { text: "first" };
      yield { text: "second", items: ["too long"] };
    }
    const error = await refusal(echo.client().client(inputs()));
    assert.deepEqual([error.code, violations(error)?.[0]?.[0], seen], [Code.InvalidArgument, "items[0]", ["first"]]);
  });
});

describe("access", () => {
  const who = () => ({ text: currentContext()?.principal?.id ?? "nobody" });

  it("a public method takes anybody; a bad or expired token yields no principal", async () => {
    await using echo = await startEcho({ unary: who });
    const client = echo.client();
    assert.equal((await client.unary({})).text, "nobody");
    assert.equal((await client.unary({}, bearer("user-ada"))).text, "ada");
    assert.equal((await client.unary({}, bearer("expired"))).text, "nobody");
    assert.equal((await client.unary({}, bearer("forged"))).text, "nobody");
    assert.equal((await client.unary({}, { headers: { authorization: "Basic YTpi" } })).text, "nobody");
  });

  it("a signed-in method refuses nobody, 'expired' and 'forged' with UNAUTHENTICATED and the reason", async () => {
    await using echo = await startEcho({ signedIn: who });
    const client = echo.client();
    assert.equal((await client.signedIn({}, bearer("user-ada"))).text, "ada");
    const refusals = [
      [{}, "SIGN_IN_REQUIRED"],
      [bearer("expired"), "TOKEN_EXPIRED"],
      [bearer("forged"), "TOKEN_INVALID"],
      [{ headers: { authorization: "Basic YTpi" } }, "TOKEN_INVALID"],
      [{ headers: { "x-heddle-caller": "forged" } }, "SIGN_IN_REQUIRED"],
      [{ headers: await asService("gateway") }, "SIGN_IN_REQUIRED"],
    ] as const;
    for (const [options, reason] of refusals) {
      const error = await refusal(client.signedIn({}, options));
      assert.deepEqual([error.code, reasonOf(error)], [Code.Unauthenticated, reason]);
    }
    assert.equal((await client.signedIn({}, { headers: await asService("ledger") })).text, "nobody");
  });

  it("role, service-only and ruleless methods keep others out with PERMISSION_DENIED", async () => {
    await using echo = await startEcho({ admin: who, internal: who, ruleless: who });
    const client = echo.client();
    assert.equal((await client.admin({}, bearer("admin-root"))).text, "root");
    assert.equal((await client.internal({}, { headers: await asService("gateway") })).text, "nobody");
    const refusals = await Promise.all([
      refusal(client.admin({}, bearer("user-ada"))),
      refusal(client.internal({}, bearer("admin-root"))),
      refusal(client.ruleless({}, bearer("admin-root"))),
    ]);
    assert.deepEqual(
      refusals.map((error) => [error.code, reasonOf(error)]),
      [
        [Code.PermissionDenied, "ROLE_REQUIRED"],
        [Code.PermissionDenied, "SERVICE_ONLY"],
        [Code.PermissionDenied, "NO_ACCESS_RULE"],
      ],
    );
  });

  it("what is refused is not read: the answer comes although the body has not ended", async () => {
    await using echo = await startEcho({ signedIn: who });
    const path = "/test.v1.EchoService/SignedIn";
    const { headers, trailers } = await rawCall({ url: echo.url, path, body: envelope(new Uint8Array(10)), end: false });
    assert.equal(trailers["grpc-status"] ?? headers["grpc-status"], String(Code.Unauthenticated));
  });
});

describe("deadlines", () => {
  it("a handler that never ends is answered DEADLINE_EXCEEDED when grpc-timeout 50m has passed", async () => {
    let aborted = false;
    await using echo = await startEcho({
      unary(_request, { signal }) {
        signal.addEventListener("abort", () => {
          aborted = true;
        });
        return new Promise(() => undefined);
      },
    });
    const outcome = await rawCall({ url: echo.url, path: unaryPath, headers: { "grpc-timeout": "50m" }, body: hello });
    assert.equal(outcome.trailers["grpc-status"], String(Code.DeadlineExceeded));
    assert(outcome.ms >= 45 && outcome.ms < 1000, `${outcome.ms} ms`);
    assert(aborted);
  });

  it("a stream that stalls is ended DEADLINE_EXCEEDED and its finally block runs", async () => {
    let cleaned = false;
    await using echo = await startEcho({
      async *server(_request, { signal }) {
        try {
          yield { text: "1" };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          yield { text: "late" };
        } finally {
          cleaned = true;
        }
      },
    });
    const path = "/test.v1.EchoService/Server";
    const { trailers } = await rawCall({ url: echo.url, path, headers: { "grpc-timeout": "50m" }, body: hello });
    assert.equal(trailers["grpc-status"], String(Code.DeadlineExceeded));
    await until(() => cleaned);
  });

  it("an expired deadline, grpc-timeout 0m, is refused before the handler", async () => {
    let calls = 0;
    await using echo = await startEcho({ unary: () => ({ text: String(++calls) }) });
    const outcome = await rawCall({ url: echo.url, path: unaryPath, headers: { "grpc-timeout": "0m" }, body: hello });
    assert.deepEqual([outcome.trailers["grpc-status"], calls], [String(Code.DeadlineExceeded), 0]);
  });

  it("grpc-timeout 99999999H is no deadline rather than one that has passed; 5x is INVALID_ARGUMENT", async () => {
    await using echo = await startEcho({ unary: () => ({ text: String(currentContext()?.deadline) }) });
    const ask = (timeout: string) =>
      rawCall({ url: echo.url, path: unaryPath, headers: { "grpc-timeout": timeout }, body: hello });
    assert.equal((await ask("99999999H")).trailers["grpc-status"], "0");
    assert.equal((await ask("5x")).trailers["grpc-status"], String(Code.InvalidArgument));
  });

  it("a caller that never sends the rest of its request is answered when its deadline passes", async () => {
    await using echo = await startEcho({ unary: echoText });
    const body = hello.subarray(0, 7);
    const outcome = await rawCall({ url: echo.url, path: unaryPath, headers: { "grpc-timeout": "20m" }, body, end: false });
    assert.deepEqual([outcome.trailersOnly, outcome.trailers["grpc-status"], outcome.rstCode], [true, "4", 0]);
    assert.equal(echo.lines[0]?.code, "DEADLINE_EXCEEDED");
  });

  it("over Connect, which waits for the rest of a request, it is reset one second after its deadline", async () => {
    await using echo = await startEcho({ unary: echoText });
    const headers = { "content-type": "application/proto", "connect-timeout-ms": "20" };
    const outcome = await rawCall({ url: echo.url, path: unaryPath, headers, body: hello.subarray(0, 7), end: false });
    assert.equal(outcome.rstCode, 8);
    assert.equal(echo.lines[0]?.code, "DEADLINE_EXCEEDED");
  });

  it("a caller that leaves aborts the handler's signal, and the line says CANCELLED", async () => {
    let aborted = false;
    const started = Promise.withResolvers<void>();
    await using echo = await startEcho({
      unary(_request, { signal }) {
        started.resolve();
        signal.addEventListener("abort", () => {
          aborted = true;
        });
        return new Promise(() => undefined);
      },
    });
    const leave = new AbortController();
    const call = refusal(echo.client().unary({}, { signal: leave.signal }));
    await started.promise;
    leave.abort();
    assert.equal((await call).code, Code.Canceled);
    await until(() => aborted && echo.lines.length > 0);
    assert.deepEqual(
      echo.lines.map(({ code }) => code),
      ["CANCELLED"],
    );
  });
});
