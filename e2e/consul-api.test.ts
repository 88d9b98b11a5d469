/** The embedded agent held against a real Consul: the same requests, the same answers; and Consul's own command over both. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { startAgent } from "../mesh/registry/agent.ts";
import { requireConsul, startConsul } from "./servers/consul.ts";

const run = promisify(execFile);

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: unknown;
}

describe("the embedded agent beside a real Consul", function () {
  this.timeout(60_000);
  const cleanup = new AsyncDisposableStack();
  let binary: string;
  let dataDir: string;
  let embedded: string;
  let real: string;

  before(async function () {
    binary = requireConsul(this);
    dataDir = await mkdtemp(join(tmpdir(), "heddle-api-"));
    cleanup.defer(() => rm(dataDir, { recursive: true, force: true }));
    const agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir, log: pino({ level: "silent" }) });
    cleanup.defer(() => agent.close());
    embedded = agent.address;
    real = cleanup.use(await startConsul(binary)).address;
  });
  after(() => cleanup.disposeAsync());

  /** Both answers to one request, with what differs by nature (ids, indexes, names of nodes) made the same. */
  async function both(method: string, path: string, body?: string): Promise<[ours: Answer, theirs: Answer]> {
    const ask = async (address: string): Promise<Answer> => {
      const response = await fetch(`${address}/v1/${path}`, { method, ...(body !== undefined && { body }) });
      const text = await response.text();
      const type = response.headers.get("content-type");
      return { status: response.status, type, body: type === "application/json" ? plain(JSON.parse(text)) : text };
    };
    return [await ask(embedded), await ask(real)];
  }

  const definition = {
    ...{ ID: "a-1", Name: "a", Tags: ["grpc", "demo.v1.DemoService"], Address: "127.0.0.1", Port: 7001 },
    ...{ Meta: { version: "1" }, Weights: { Passing: 3, Warning: 1 } },
    Check: { TTL: "1h", Status: "passing", Notes: "n", DeregisterCriticalServiceAfter: "90m" },
  };
  const external = {
    ...{ Node: "ext", Address: "10.0.0.1", Service: { Service: "db", Port: 5432 } },
    Check: { Node: "ext", Name: "alive", Status: "passing", ServiceID: "db" },
  };
  // In order: later requests see what earlier ones did.
  const requests: [method: string, path: string, body?: unknown][] = [
    ["GET", "agent/services"],
    ["GET", "catalog/service/a"],
    ["GET", "health/service/a"],
    ["PUT", "agent/service/register", definition],
    [
      "PUT",
      "agent/service/register",
      { name: "b", check: { ttl: "1h", deregister_critical_service_after: "90m" }, enable_tag_override: true },
    ],
    ["PUT", "agent/service/register", { Name: "c", Port: 9, Checks: [{ TTL: "1h" }, { TTL: "1h", Name: "second" }] }],
    ["GET", "agent/services"],
    ["GET", "agent/checks"],
    ["GET", "agent/service/nobody"],
    ["GET", "agent/health/service/name/nobody"],
    ["GET", "agent/health/service/id/nobody"],
    ["GET", "agent/health/service/name/a?format=text"],
    ["GET", "agent/health/service/name/b?format=text"],
    ["GET", "catalog/datacenters"],
    ["GET", "catalog/service/a"],
    ["GET", "catalog/service/a?tag=GRPC"],
    ["GET", "catalog/service/a?tag=other"],
    ["GET", "catalog/node/nobody"],
    ["GET", "health/service/a"],
    ["GET", "health/service/b?passing"],
    ["GET", "health/service/a?dc=elsewhere"],
    ["GET", "health/service/a?index=soon"],
    ["GET", "health/service/a?index=1&wait=soon"],
    ["GET", "health/checks/a"],
    ["GET", "health/checks/nobody"],
    ["GET", "health/state/passing"],
    ["GET", "health/state/nonsense"],
    ["PUT", "agent/check/warn/service:a-1?note=slow"],
    ["GET", "health/service/a"],
    ["GET", "agent/health/service/id/a-1?format=text"],
    ["PUT", "agent/check/update/service:a-1", { Status: "passing", Output: "o" }],
    ["PUT", "agent/check/update/service:a-1", { Status: "bad" }],
    ["PUT", "agent/check/fail/service:a-1"],
    ["GET", "health/state/critical"],
    ["PUT", "agent/check/pass/nobody"],
    ["PUT", "agent/check/register", { Name: "n", TTL: "1h", ServiceID: "nobody" }],
    ["PUT", "agent/check/register", { TTL: "1h" }],
    ["PUT", "agent/check/register", { Name: "n" }],
    ["PUT", "agent/check/register", { Name: "mine", TTL: "1h", ServiceID: "b", Status: "warning" }],
    ["GET", "health/checks/b"],
    ["PUT", "agent/check/deregister/mine"],
    ["PUT", "agent/check/deregister/nobody"],
    ["PUT", "agent/service/maintenance/b?enable=true&reason=why"],
    ["GET", "agent/health/service/id/b?format=text"],
    ["GET", "health/checks/b"],
    ["PUT", "agent/service/maintenance/b?enable=false"],
    ["PUT", "agent/service/maintenance/b"],
    ["PUT", "agent/service/maintenance/nobody?enable=true"],
    ["PUT", "agent/maintenance?enable=true"],
    ["GET", "agent/checks"],
    ["PUT", "agent/maintenance?enable=false"],
    ["PUT", "agent/service/register", { Port: 1 }],
    ["PUT", "agent/service/register", { Name: "x", Prot: 1 }],
    ["PUT", "agent/service/register", { Name: "x", Check: { GRPC: "127.0.0.1:1" } }],
    ["PUT", "agent/service/register", { Name: "x", Check: { TTL: "1s", Status: "fine" } }],
    ["POST", "agent/service/register"],
    ["PUT", "status/leader"],
    ["PUT", "catalog/register", external],
    ["PUT", "catalog/register", { Node: "ext2" }],
    ["GET", "catalog/service/db"],
    ["GET", "catalog/node/ext"],
    ["GET", "health/service/db"],
    ["PUT", "catalog/deregister", { Node: "ext", ServiceID: "db" }],
    ["GET", "catalog/node/ext"],
    ["PUT", "catalog/deregister", { Node: "ext" }],
    ["PUT", "catalog/deregister", {}],
    ["GET", "catalog/node/ext"],
    ["GET", "kv/a/b"],
    ["PUT", "kv/a/b?flags=42", "hello"],
    ["PUT", "kv/a/c/d", ""],
    ["PUT", "kv/a%20b", "x"],
    ["GET", "kv/a/b"],
    ["GET", "kv/a/b?raw"],
    ["GET", "kv/a/c/d"],
    ["GET", "kv/a%20b"],
    ["GET", "kv/a/?recurse"],
    ["GET", "kv/none?recurse"],
    ["GET", "kv/?keys"],
    ["GET", "kv/a/?keys&separator=/"],
    ["GET", "kv/"],
    ["PUT", "kv/", "x"],
    ["PUT", "kv/a/b?cas=0", "y"],
    ["PUT", "kv/new?cas=0", "y"],
    ["DELETE", "kv/new?cas=1"],
    ["DELETE", "kv/new"],
    ["DELETE", "kv/new"],
    ["DELETE", "kv/a/?recurse"],
    ["GET", "kv/?keys"],
    ["PUT", "agent/service/deregister/c"],
    ["GET", "agent/services"],
    ["GET", "nowhere"],
  ];
  for (const [method, path, body] of requests) {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    it(`answers alike: ${method} /v1/${path} ${text ?? ""}`.trimEnd(), async () => {
      const [ours, theirs] = await both(method, path, text);
      assert.deepEqual(ours, theirs);
    });
  }

  it("consul members, catalog, kv, services, maint and watch work against the embedded agent", async () => {
    const env = { ...process.env, CONSUL_HTTP_ADDR: embedded };
    const consul = async (...args: string[]) => (await run(binary, args, { env })).stdout.trim();
    const file = join(dataDir, "web.json");
    await writeFile(file, '{"service":{"name":"web","port":80,"tags":["x"],"check":{"ttl":"1h","status":"passing"}}}');
    assert.match(await consul("members"), /alive {3}server {2}1\.8\.7\+heddle/);
    assert.equal(await consul("services", "register", file), "Registered service: web");
    assert.match(await consul("catalog", "services", "-tags"), /^web\s+x$/m);
    assert.match(await consul("catalog", "nodes", "-service=web"), /127\.0\.0\.1/);
    assert.equal(await consul("kv", "put", "k/one", "1"), "Success! Data written to: k/one");
    assert.equal(await consul("kv", "get", "k/one"), "1");
    assert.equal(await consul("kv", "get", "-recurse", "k/"), "k/one:1");
    assert.equal(await consul("kv", "delete", "k/one"), "Success! Deleted key: k/one");
    assert.match(await consul("maint", "-enable", "-service=web", "-reason=because"), /now enabled for "web"/);
    assert.match(await consul("maint"), /Reason: because/);
    assert.match(await consul("maint", "-disable", "-service=web"), /now disabled for "web"/);
    assert.match(await consul("watch", "-type=service", "-service=web"), /"ID": "web"/);
    assert.match(await consul("info"), /version = 1\.8\.7\+heddle/);
    assert.equal(await consul("services", "deregister", "-id=web"), "Deregistered service: web");
    await assert.rejects(consul("kv", "get", "k/one"), /No key exists at: k\/one/);
    await assert.rejects(consul("connect", "ca", "get-config"), /embedded agent does not have/);
  });
});

const volatile = new Set(["CreateIndex", "ModifyIndex", "ContentHash", "Meta", "NodeMeta"]);

/** A JSON value without what two servers cannot share. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      if (name === "Node" && typeof item === "string" && item !== "ext") return [name, "node"];
      if (name === "ID" && typeof item === "string" && item.length === 36) return [name, "id"];
      // A node says in its meta what it is; a service's meta is its own.
      const isServiceMeta = name === "Meta" && "Service" in value;
      return [name, volatile.has(name) && !isServiceMeta ? "any" : plain(item)];
    }),
  );
}
