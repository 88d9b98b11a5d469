import assert from "node:assert/strict";
import { connect } from "node:net";
import { rawCall } from "./raw-call.fixture.ts";
import { isEndlessTimeout } from "./request-headers.ts";
import { startEcho } from "./server.fixture.ts";

describe("isEndlessTimeout", () => {
  for (const [header, value, expected] of [
    ["grpc-timeout", "2147483647m", false],
    ["grpc-timeout", "99999999m", false],
    ["grpc-timeout", "2147483S", false],
    ["grpc-timeout", "2147484S", true],
    ["grpc-timeout", "596H", false],
    ["grpc-timeout", "597H", true],
    ["grpc-timeout", "99999999H", true],
    ["grpc-timeout", "99999999n", false],
    ["grpc-timeout", "-1H", false],
    ["grpc-timeout", "999999999H", false],
    ["connect-timeout-ms", "2147483647", false],
    ["connect-timeout-ms", "2147483648", true],
    ["connect-timeout-ms", "99999999999", false],
  ] as const) {
    it(`${header}: ${value} ${expected ? "is" : "is not"}`, () => {
      assert.equal(isEndlessTimeout(header, value), expected);
    });
  }
});

describe("a request without a usable authority", () => {
  it("is 400 over HTTP/2 with :authority '['", async () => {
    await using echo = await startEcho({});
    const { status } = await rawCall({ url: echo.url, path: "/test.v1.EchoService/Unary", headers: { ":authority": "[" } });
    assert.equal(status, 400);
  });

  it("is 400 over HTTP/1.0 without a host", async () => {
    await using echo = await startEcho({});
    const answer = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(echo.server.port, "127.0.0.1", () => {
        socket.write("POST /test.v1.EchoService/Unary HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
      });
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket.on("close", () => resolve(text));
    });
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
  });
});
