import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { platform } from "../../services/platform.ts";
import { dataFolder } from "./data-folder.ts";
import { makePlan, processEnvironment } from "./plan.ts";
import { freePorts } from "./ports.ts";
import { instanceOf } from "./process-spec.ts";

describe("plan", () => {
  const portsOf = (plan: Awaited<ReturnType<typeof makePlan>>) =>
    Object.fromEntries(plan.specs.map(({ name, port, adminPort }) => [name, [port, adminPort]]));

  it("shifts every port by HEDDLE_PORT_OFFSET=20000", async () => {
    const plan = await makePlan("/project", { HEDDLE_PORT_OFFSET: "20000" }, []);
    assert.deepEqual(
      { ...portsOf(plan), postgres: undefined },
      {
        consul: [28500, 28500],
        postgres: undefined,
        ...Object.fromEntries(platform.map(({ name, port }) => [name, [port + 20_000, port + 21_000]])),
      },
    );
  });

  it("takes single ports from HEDDLE_AUTH_PORT=7777 and GATEWAY_PORT=9999", async () => {
    const ports = portsOf(
      await makePlan("/project", { HEDDLE_PORT_OFFSET: "20000", HEDDLE_AUTH_PORT: "7777", GATEWAY_PORT: "9999" }, []),
    );
    assert.deepEqual(
      [ports.auth, ports.gateway],
      [
        [7777, 8777],
        [9999, 10999],
      ],
    );
  });

  it("chooses free ports for HEDDLE_AUTH_PORT=0, and none is 0", async () => {
    const plan = await makePlan("/project", { HEDDLE_PORT_OFFSET: "20000", HEDDLE_AUTH_PORT: "0", HEDDLE_CONSUL_PORT: "0" }, []);
    assert.ok(plan.specs.every(({ port, adminPort }) => port > 0 && adminPort > 0));
  });

  it("has neither PostgreSQL with a DATABASE_URL nor a registry with a Consul that answers", async () => {
    const consul = createServer((_request, response) => response.end('""')).listen(0, "127.0.0.1");
    await new Promise((resolve) => consul.once("listening", resolve));
    const address = `127.0.0.1:${(consul.address() as AddressInfo).port}`;
    try {
      const plan = await makePlan("/project", { CONSUL_HTTP_ADDR: address, DATABASE_URL: "postgres://a:b@db/x" }, []);
      assert.deepEqual(
        plan.specs.map(({ name, needs }) => [name, needs]),
        platform.map(({ name, needs }) => [name, needs]),
      );
      assert.equal(plan.consul.address.origin, `http://${address}`);
    } finally {
      consul.close();
    }
  });

  it("falls back to the embedded registry, and says so, when nothing answers at CONSUL_HTTP_ADDR", async () => {
    const [nobody = 0] = await freePorts("127.0.0.1", 1);
    const plan = await makePlan("/project", { HEDDLE_PORT_OFFSET: "20000", CONSUL_HTTP_ADDR: `127.0.0.1:${nobody}` }, []);
    assert.deepEqual(plan.notes, [
      `no Consul answers at CONSUL_HTTP_ADDR (http://127.0.0.1:${nobody}): the embedded registry is used`,
    ]);
    assert.equal(plan.consul.embedded, true);
  });

  it("takes only what is wanted and what that needs: gateway comes without a database", async () => {
    const plan = await makePlan("/project", { HEDDLE_PORT_OFFSET: "20000" }, ["gateway"]);
    assert.deepEqual(
      plan.specs.map(({ name }) => name),
      ["consul", "gateway"],
    );
  });

  it("refuses a service that does not exist and an offset that leads beyond 65535", async () => {
    await assert.rejects(makePlan("/project", {}, ["atuh"]), {
      message: `atuh is not a service of the platform: ${platform.map(({ name }) => name).join(", ")}`,
    });
    await assert.rejects(makePlan("/project", { HEDDLE_PORT_OFFSET: "58000" }, []), /HEDDLE_PORT_OFFSET/);
  });

  it("tells a process its ports, the registry and the secret, and leaves the rest of the environment", async () => {
    const env = { HEDDLE_PORT_OFFSET: "20000", DATABASE_URL: "postgres://a:b@db/x", SMTP_URL: "smtp://mail", HEDDLE_PORT: "1" };
    const plan = await makePlan("/project", env, ["auth"]);
    const spec = plan.specs.find(({ name }) => name === "auth");
    assert.ok(spec);
    const seen = processEnvironment(plan, dataFolder("/project", undefined), "secret", env, instanceOf(spec, 1));
    assert.deepEqual(seen, {
      ...env,
      HEDDLE_HOST: "127.0.0.1",
      HEDDLE_PORT: "27001",
      HEDDLE_AUTH_PORT: "27001",
      HEDDLE_ADMIN_PORT: "28001",
      HEDDLE_DATA: "/project/.heddle",
      HEDDLE_MESH_SECRET: "secret",
      HEDDLE_SUPERVISED: "1",
      MALLOC_MMAP_THRESHOLD_: "32768",
      MALLOC_ARENA_MAX: "2",
      CONSUL_HTTP_ADDR: "http://127.0.0.1:28500",
      NODE_COMPILE_CACHE: "/project/node_modules/.cache/heddle",
    });
  });

  const publicUrls = [
    [{ HEDDLE_PORT_OFFSET: "20000" }, "http://127.0.0.1:28080"],
    [{ GATEWAY_PORT: "9999", HEDDLE_HOST: "0.0.0.0", HEDDLE_PORT_OFFSET: "20000" }, "http://127.0.0.1:9999"],
    [{ AUTH_PUBLIC_URL: "https://example.com", HEDDLE_PORT_OFFSET: "20000" }, "https://example.com"],
  ] as const;
  for (const [env, expected] of publicUrls) {
    it(`${JSON.stringify(env)}: links in mails begin with ${expected}`, async () => {
      const plan = await makePlan("/project", env, []);
      const spec = plan.specs.find(({ name }) => name === "auth");
      assert.ok(spec);
      const seen = processEnvironment(plan, dataFolder("/project", undefined), "secret", env, instanceOf(spec, 1));
      assert.equal(seen.AUTH_PUBLIC_URL, expected);
    });
  }
});
