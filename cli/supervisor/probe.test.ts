import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { freePorts } from "./ports.ts";
import { parseAnswer, probe } from "./probe.ts";
import { answersAsConsul, consulUrl, untilDiscovered } from "./registry-probe.ts";

describe("probe", () => {
  let server: Server;
  let port = 0;
  let passing: readonly number[] = [];

  before(async () => {
    server = createServer((request, response) => {
      if (request.url === "/mute") return;
      if (request.url === "/v1/status/leader") response.end('"127.0.0.1:8300"');
      else if (request.url === "/v1/health/service/auth?passing=1") {
        response.end(JSON.stringify(passing.map((Port) => ({ Service: { Port } }))));
      } else response.writeHead(request.headers["x-a"] === "b" ? 200 : 503).end("a\r\n\r\nb");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    port = (server.address() as AddressInfo).port;
  });

  after(() => server.close());

  it("reads status and body, empty lines in it too", async () => {
    const answer = await probe({ host: "127.0.0.1", port, path: "/" }, 5000);
    assert.deepEqual({ ...answer, date: undefined }, { answered: true, status: 503, body: "a\r\n\r\nb", date: undefined });
  });

  it("sends the headers that it is given, and calls 127.0.0.1 what is bound to 0.0.0.0", async () => {
    const answer = await probe({ host: "0.0.0.0", port, path: "/" }, 5000, { "x-a": "b" });
    assert.equal(answer.answered && answer.status, 200);
  });

  it("ends after 50 ms with a server that does not answer", async () => {
    const answer = await probe({ host: "127.0.0.1", port, path: "/mute" }, 50);
    assert.deepEqual(answer, { answered: false, why: "nothing within 50 ms" });
  });

  it("is refused where nobody listens", async () => {
    const [nobody = 0] = await freePorts("127.0.0.1", 1);
    const answer = await probe({ host: "127.0.0.1", port: nobody, path: "/" }, 5000);
    assert.deepEqual(answer, { answered: false, why: `connect ECONNREFUSED 127.0.0.1:${nobody}` });
  });

  for (const text of ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n\r\n"]) {
    it(`does not take ${JSON.stringify(text)} for HTTP`, () => {
      assert.deepEqual(parseAnswer(text), { answered: false, why: "an answer that is not HTTP" });
    });
  }

  it("knows a Consul by the text that /v1/status/leader answers", async () => {
    assert.equal(await answersAsConsul(new URL(`http://127.0.0.1:${port}`)), true);
    const [nobody = 0] = await freePorts("127.0.0.1", 1);
    assert.equal(await answersAsConsul(new URL(`http://127.0.0.1:${nobody}`)), false);
  });

  it("takes CONSUL_HTTP_ADDR with and without a scheme", () => {
    assert.equal(consulUrl("127.0.0.1:8500").origin, "http://127.0.0.1:8500");
    assert.equal(consulUrl("https://consul.example").origin, "https://consul.example");
  });

  it("waits until the registry gives out the port, or as long as its patience", async () => {
    const registry = { address: new URL(`http://127.0.0.1:${port}`), token: "" };
    passing = [7001];
    assert.equal(await untilDiscovered(registry, "auth", 7001, 1000), true);
    assert.equal(await untilDiscovered(registry, "auth", 7002, 50), false);
  });
});
