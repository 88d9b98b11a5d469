import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fakeRegistry } from "#mesh/client/registry.fixture.ts";
import { madeImage, startReflecting } from "./fixtures/made-contract.ts";
import { runStandaloneGateway, type StandaloneOptions } from "./standalone.ts";

const get = (path: string) => ({ pattern: { case: "get" as const, value: path } });
const first = madeImage({ name: "demo.v1.Demo", methods: { Get: get("/v1/demo/{name}") } });
const second = madeImage({ name: "demo.v1.Demo", methods: { Get: get("/v2/demo/{name}") } });

/** A gateway for a test's length, and what it answers to a GET. */
async function start(options: Omit<StandaloneOptions, "port">) {
  const gateway = await runStandaloneGateway({ port: 0, logLevel: "silent", ...options });
  return {
    get: async (path: string) => {
      const response = await fetch(`${gateway.address}${path}`);
      return `${response.status} ${await response.text()}`;
    },
    post: async (path: string, body: string) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${gateway.address}${path}`, { method: "POST", body, headers });
      return `${response.status} ${await response.text()}`;
    },
    [Symbol.asyncDispose]: () => gateway.drain(0),
  };
}

describe("gateway/standalone", () => {
  it("follows an image file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "heddle-standalone-"));
    try {
      const image = join(folder, "contracts.binpb");
      writeFileSync(image, first);
      await using backend = await startReflecting(first);
      const upstreams = new Map([["demo.v1.Demo", [`127.0.0.1:${backend.port}`]]]);
      await using gateway = await start({ image, upstreams });
      assert.equal(await gateway.get("/v1/demo/x"), '200 {"name":"x"}');
      writeFileSync(join(folder, "next"), second);
      renameSync(join(folder, "next"), image);
      const until = Date.now() + 5000;
      while ((await gateway.get("/v2/demo/x")) !== '200 {"name":"x"}') assert.ok(Date.now() < until);
      assert.match(await gateway.get("/v1/demo/x"), /^404 /);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("serves a server of which nothing but the address is known", async () => {
    await using backend = await startReflecting(first);
    const servers = [`127.0.0.1:${backend.port}`];
    await using gateway = await start({ reflect: true, upstreams: new Map(), servers });
    // @grpc/proto-loader keeps no options of others, so the method has no rule here.
    assert.equal(await gateway.post("/demo.v1.Demo/Get", '{"name":"x"}'), '200 {"name":"x"}');
  });

  it("learns from the services of a registry", async () => {
    await using backend = await startReflecting(first);
    const registry = fakeRegistry({ demo: ["demo.v1.Demo"] });
    registry.publish("demo", [["demo-1", backend.port]]);
    await using gateway = await start({ reflect: true, upstreams: new Map(), openRegistry: () => registry });
    assert.equal(await gateway.post("/demo.v1.Demo/Get", '{"name":"x"}'), '200 {"name":"x"}');
  });

  it("adds to an image what servers tell", async () => {
    const folder = mkdtempSync(join(tmpdir(), "heddle-standalone-"));
    try {
      const image = join(folder, "contracts.binpb");
      writeFileSync(image, first);
      const other = madeImage({ name: "other.v1.Other", methods: { Get: undefined } });
      await using backend = await startReflecting(first);
      await using otherBackend = await startReflecting(other);
      const at = (port: number) => [`127.0.0.1:${port}`];
      const upstreams = new Map([
        ["demo.v1.Demo", at(backend.port)],
        ["other.v1.Other", at(otherBackend.port)],
      ]);
      await using gateway = await start({ image, reflect: true, upstreams });
      assert.equal(await gateway.get("/v1/demo/x"), '200 {"name":"x"}');
      assert.equal(await gateway.post("/other.v1.Other/Get", '{"name":"x"}'), '200 {"name":"x"}');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
