import assert from "node:assert/strict";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { echoServer, methodOf, testClient } from "./mesh.fixture.ts";
import { type RawMessage, rawMessage, rawMethod } from "./raw.ts";

describe("raw messages", () => {
  it("cross the transport as the bytes they are, of 4 bytes and of 100 KB", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const method = rawMethod(methodOf("Get")) as DescMethodUnary;
    for (const value of ["ab", "x".repeat(100_000)]) {
      const bytes = toBinary(StringValueSchema, create(StringValueSchema, { value }));
      const answer = await client.transport.unary(method, undefined, undefined, undefined, rawMessage(bytes) as never);
      const expected = toBinary(StringValueSchema, create(StringValueSchema, { value: `a:${value}` }));
      assert.deepEqual((answer.message as unknown as RawMessage).bytes, expected);
    }
  });
});
