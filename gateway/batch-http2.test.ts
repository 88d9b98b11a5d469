import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { startTestGateway } from "./fixtures/harness.ts";

async function post(port: number, headers: Record<string, string>, body: string): Promise<{ status: number; body: string }> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ":method": "POST", ...headers });
    stream.end(body);
    const [head] = await once(stream, "response");
    return { status: head[":status"], body: await text(stream) };
  } finally {
    session.close();
  }
}

describe("gateway/duties: over HTTP/2", () => {
  it("answers a batch, REST and Connect in it", async () => {
    await using gateway = await startTestGateway();
    const requests = [
      { id: "rest", method: "POST", path: "/v1/echo", body: { string: "a" } },
      { id: "connect", method: "POST", path: "/echo.v1.EchoService/Echo", body: { string: "b" } },
    ];
    const headers = { ":path": "/api/v1/batch", "content-type": "application/json" };
    const { status, body } = await post(gateway.port, headers, JSON.stringify({ requests }));
    assert.equal(status, 200, body);
    const { responses } = JSON.parse(body) as { responses: { id: string; status: number; body: unknown }[] };
    assert.deepEqual(
      responses.map(({ id, status, body }) => [id, status, body]),
      [
        ["rest", 200, { string: "a" }],
        ["connect", 200, { string: "b" }],
      ],
    );
  });

  it("passes a request on to the monolith", async () => {
    const monolith = createServer(async (request, response) =>
      response.end(`${request.headers.host !== ""} ${await text(request)}`),
    );
    await once(monolith.listen(0, "127.0.0.1"), "listening");
    try {
      const url = new URL(`http://127.0.0.1:${(monolith.address() as AddressInfo).port}`);
      await using gateway = await startTestGateway({ duties: { monolith: { url, prefixes: ["/"], percent: 0 } } });
      const answer = await post(gateway.port, { ":path": "/old", "content-type": "text/plain" }, "hello");
      assert.deepEqual(answer, { status: 200, body: "true hello" });
    } finally {
      monolith.close();
    }
  });
});
