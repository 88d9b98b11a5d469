import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { openConsul } from "./consul.ts";
import { until } from "./contract/peers.ts";

const registration = {
  ...{ id: "a-1", service: "a", address: "127.0.0.1", port: 7001, tags: [], meta: {} },
  ...{ checkIntervalMs: 2000, deregisterAfterMs: 60_000 },
};

describe("the registry's client", () => {
  let server: Server;
  let address: string;
  let status: number;
  let requests: { method: string; url: string; headers: IncomingHttpHeaders; body: string }[];
  let logged: string;
  const log = pino(
    { level: "trace" },
    new Writable({
      write(chunk, _, done) {
        logged += chunk;
        done();
      },
    }),
  );

  beforeEach(async () => {
    status = 200;
    requests = [];
    logged = "";
    server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      requests.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      response.writeHead(status, { "x-consul-index": "7" }).end(status === 200 ? "[]" : "Permission denied");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  it("takes an address without a scheme as http, and sends token, namespace and datacenter with every request", async () => {
    await using registry = openConsul({ address, token: "t0ken", namespace: "n", datacenter: "dc2", log });
    using watch = registry.watchService("a", () => undefined);
    await watch.first;
    await registry.setKey("k", "v");
    const seen = requests.map(({ method, url, headers }) => [
      ...[method, url.split("?")[0], new URLSearchParams(url.split("?")[1]).get("dc")],
      ...[headers["x-consul-token"], headers["x-consul-namespace"]],
    ]);
    assert.deepEqual(seen[0], ["GET", "/v1/health/service/a", "dc2", "t0ken", "n"]);
    const puts = seen.filter(([method]) => method === "PUT");
    assert.deepEqual(puts[0], ["PUT", "/v1/kv/k", "dc2", "t0ken", "n"]);
  });

  it("registers with a gRPC check that begins as passing", async () => {
    await using registry = openConsul({ address, log });
    await using _ = await registry.register(registration);
    assert.deepEqual(JSON.parse(requests[0]?.body ?? ""), {
      ...{ ID: "a-1", Name: "a", Address: "127.0.0.1", Port: 7001, Tags: [], Meta: {} },
      Check: {
        ...{ Name: "grpc.health.v1 of a", GRPC: "127.0.0.1:7001", Interval: "2000ms", Timeout: "3000ms", Status: "passing" },
        DeregisterCriticalServiceAfter: "60000ms",
      },
    });
  });

  it("rejects a registration that the registry will never take: 400", async () => {
    await using registry = openConsul({ address, log });
    status = 400;
    await assert.rejects(registry.register(registration), (error) => {
      assert.ok(error instanceof ConnectError && error.code === Code.InvalidArgument);
      assert.equal(error.rawMessage, `register a-1: the registry at http://${address} answered 400 Permission denied`);
      return true;
    });
  });

  it("goes on registering while it is refused, and never logs the token: 403", async () => {
    await using registry = openConsul({ address, token: "t0ken", log });
    status = 403;
    const registering = registry.register(registration);
    await until(() => requests.length > 1, 3000);
    status = 200;
    await using _ = await registering;
    assert.match(logged, /403 Permission denied/);
    assert.doesNotMatch(logged, /t0ken/);
  });

  it("holds a refused watch for a registry that is there: 403", async () => {
    status = 403;
    await using registry = openConsul({ address, token: "t0ken", log });
    using _ = registry.watchService("a", () => undefined);
    await until(() => requests.length > 1, 3000);
    assert.equal(registry.status().connected, true);
    assert.match(logged, /the registry refuses this watch/);
  });

  const failures: [number, Code][] = [
    [500, Code.Unavailable],
    [403, Code.FailedPrecondition],
    [413, Code.InvalidArgument],
  ];
  for (const [answered, code] of failures) {
    it(`a key that is set meets ${answered}: ${Code[code]}`, async () => {
      await using registry = openConsul({ address, token: "t0ken", log });
      status = answered;
      await assert.rejects(registry.setKey("k", "v"), (error) => {
        assert.ok(error instanceof ConnectError && error.code === code);
        assert.doesNotMatch(JSON.stringify([error.message, error.cause]), /t0ken/);
        return true;
      });
    });
  }

  it("shows no credentials of its address", () => {
    assert.equal(openConsul({ address: "http://user:pass@127.0.0.1:1/", log }).status().address, "http://127.0.0.1:1");
  });

  for (const wrong of ["", "ftp://127.0.0.1", "http://", "http://u:pass@:x"]) {
    it(`refuses the address ${JSON.stringify(wrong)}`, () => {
      assert.throws(
        () => openConsul({ address: wrong, log }),
        (error) =>
          error instanceof ConnectError &&
          /CONSUL_HTTP_ADDR: expected http/.test(error.rawMessage) &&
          !error.rawMessage.includes("pass"),
      );
    });
  }
});
