import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { unavailable } from "../errors.ts";
import { type EchoRequest, type EchoResponse, EchoService } from "./echo.fixture.ts";
import { type EchoHandlers, startEcho } from "./server.fixture.ts";

const { input, output } = EchoService.method.unary;
const encode = (message: EchoRequest) => Buffer.from(toBinary(input, message));
const decode = (bytes: Buffer) => fromBinary(output, bytes);
const request = (text: string) => create(input, { text });
const path = (method: string) => `/test.v1.EchoService/${method}`;

/** grpc-js is the independent peer: it shares no code with what serves. */
async function withPeer(methods: EchoHandlers, work: (client: Client) => Promise<void>): Promise<void> {
  await using echo = await startEcho(methods);
  const client = new Client(`127.0.0.1:${echo.server.port}`, credentials.createInsecure());
  try {
    await work(client);
  } finally {
    client.close();
  }
}

describe("grpc-js against the server", () => {
  it("a unary call carries metadata both ways", async () => {
    const methods: EchoHandlers = {
      unary({ text }, { requestHeader, responseHeader }) {
        responseHeader.set("x-answer", `${requestHeader.get("x-question")}!`);
        return { text };
      },
    };
    await withPeer(methods, async (client) => {
      const metadata = new Metadata();
      metadata.set("x-question", "why");
      const answered = Promise.withResolvers<EchoResponse | undefined>();
      const call = client.makeUnaryRequest(path("Unary"), encode, decode, request("hello"), metadata, (error, response) =>
        error === null ? answered.resolve(response) : answered.reject(error),
      );
      const headers = new Promise<Metadata>((resolve) => call.on("metadata", resolve));
      assert.equal((await answered.promise)?.text, "hello");
      assert.deepEqual((await headers).get("x-answer"), ["why!"]);
    });
  });

  it("a bidirectional stream answers each message before the next is sent", async () => {
    const methods: EchoHandlers = {
      async *bidi(requests) {
        for await (const { text } of requests) yield { text: text.toUpperCase() };
      },
    };
    await withPeer(methods, async (client) => {
      const call = client.makeBidiStreamRequest(path("Bidi"), encode, decode);
      const answers = call[Symbol.asyncIterator]();
      const got: unknown[] = [];
      for (const text of ["a", "b", "c"]) {
        call.write(request(text));
        got.push((await answers.next()).value.text);
      }
      call.end();
      assert.deepEqual([got, (await answers.next()).done], [["A", "B", "C"], true]);
    });
  });

  it("UNAVAILABLE carries its RetryInfo in grpc-status-details-bin", async () => {
    const methods: EchoHandlers = {
      unary() {
        throw unavailable("later", 1500);
      },
    };
    await withPeer(methods, async (client) => {
      const error = await new Promise<ServiceError | null>((resolve) => {
        client.makeUnaryRequest(path("Unary"), encode, decode, request(""), (outcome) => resolve(outcome));
      });
      assert.deepEqual([error?.code, error?.details], [status.UNAVAILABLE, "later"]);
      assert.match(String(error?.metadata.get("grpc-status-details-bin")[0]), /google\.rpc\.RetryInfo/);
    });
  });

  it("an unknown method is UNIMPLEMENTED", async () => {
    await withPeer({}, async (client) => {
      const error = await new Promise<ServiceError | null>((resolve) => {
        client.makeUnaryRequest("/no.such.Service/Method", encode, decode, request(""), (outcome) => resolve(outcome));
      });
      assert.deepEqual([error?.code, error?.details], [status.UNIMPLEMENTED, "unknown method /no.such.Service/Method"]);
    });
  });
});
