import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { startAgent } from "./agent.ts";
import { openConsul } from "./consul.ts";
import { HealthServer, until } from "./contract/peers.ts";

const log = pino({ level: "silent" });
type Entry = { Service: { ID: string }; Checks: { CheckID: string; Status: string; Output: string }[] };

describe("the embedded agent", () => {
  let dataDir: string;
  let cleanup: AsyncDisposableStack;
  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    dataDir = await mkdtemp(join(tmpdir(), "heddle-agent-"));
    cleanup.defer(() => rm(dataDir, { recursive: true, force: true }));
  });
  afterEach(() => cleanup.disposeAsync());

  /** An agent that the test's end closes. */
  async function start() {
    const agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir, log });
    cleanup.defer(() => agent.close());
    return agent;
  }
  const put = async (address: string, path: string, body: unknown = "") => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(`${address}/v1/${path}`, { method: "PUT", body: text });
    return { status: response.status, text: await response.text() };
  };
  const get = async (address: string, path: string) => (await fetch(`${address}/v1/${path}`)).json();
  const health = async (address: string, service: string) => (await get(address, `health/service/${service}`)) as Entry[];
  const status = (entries: readonly Entry[]) => entries[0]?.Checks.find(({ CheckID }) => CheckID !== "serfHealth")?.Status;

  /** Asks for the health of `service` until its check is `expected`. */
  async function becomes(address: string, service: string, expected: string, ms: number): Promise<void> {
    let seen: string | undefined;
    const deadline = Date.now() + ms;
    do seen = status(await health(address, service));
    while (seen !== expected && Date.now() < deadline);
    assert.equal(seen, expected);
  }

  it("says which port is taken, and what to do", async () => {
    const { port } = await start();
    await assert.rejects(startAgent({ host: "127.0.0.1", port, dataDir: join(dataDir, "other"), log }), (error) => {
      assert.ok(error instanceof ConnectError && error.code === Code.FailedPrecondition);
      assert.match(error.rawMessage, new RegExp(`^port ${port} on 127\\.0\\.0\\.1 is already in use; .*CONSUL_HTTP_ADDR`));
      return true;
    });
  });

  for (const [what, method, headers] of [
    ["a GET by the name evil.example", "GET", { host: "evil.example:8500" }],
    ["a PUT by the name evil.example", "PUT", { host: "evil.example:8500" }],
    ["a PUT from a page of http://evil.example", "PUT", { origin: "http://evil.example" }],
    ["a DELETE from a page without an origin to tell", "DELETE", { origin: "null" }],
  ] as const) {
    it(`${what} is refused with 403, and the key stays`, async () => {
      const { address } = await start();
      await put(address, "kv/k", "mine");
      const asked = request(`${address}/v1/kv/k`, { method, headers });
      asked.end(method === "PUT" ? "theirs" : undefined);
      const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
      const text = Buffer.concat(await response.toArray()).toString();
      assert.equal(response.statusCode, 403);
      assert.match(text, /^(host: expected|origin: ".*" may not write here)/);
      assert.equal(await (await fetch(`${address}/v1/kv/k?raw`)).text(), "mine");
    });
  }

  it("closes at once with a blocking query under way", async () => {
    const agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir, log });
    const index = (await fetch(`${agent.address}/v1/catalog/services`)).headers.get("x-consul-index");
    const waiting = fetch(`${agent.address}/v1/catalog/services?index=${index}`).then(
      () => "answered",
      () => "ended",
    );
    const startedAt = Date.now();
    await agent.close();
    assert.equal(await waiting, "ended");
    assert.ok(Date.now() - startedAt < 1000);
  });

  it("holds a query until a change, and not for the change of another service", async () => {
    const { address } = await start();
    const first = await fetch(`${address}/v1/health/service/a`);
    const index = Number(first.headers.get("x-consul-index"));
    await put(address, "agent/service/register", { Name: "b" });
    let answered = false;
    const waiting = fetch(`${address}/v1/health/service/a?index=${index}&wait=10s`).finally(() => {
      answered = true;
    });
    await put(address, "agent/service/register", { Name: "c" });
    assert.equal(answered, false);
    await put(address, "agent/service/register", { Name: "a" });
    const second = await waiting;
    assert.equal(((await second.json()) as Entry[]).length, 1);
    assert.ok(Number(second.headers.get("x-consul-index")) > index);
  });

  it("answers a quiet query after its wait, with the same index", async () => {
    const { address } = await start();
    const index = (await fetch(`${address}/v1/kv/a`)).headers.get("x-consul-index");
    const quiet = await fetch(`${address}/v1/kv/a?index=${index}&wait=20ms`);
    assert.deepEqual([quiet.status, quiet.headers.get("x-consul-index")], [404, index]);
  });

  it("holds /v1/agent/service/:id by its content hash until the service changes or goes", async () => {
    const { address } = await start();
    await put(address, "agent/service/register", { ID: "a-1", Name: "a", Port: 1 });
    const { ContentHash } = (await get(address, "agent/service/a-1")) as { ContentHash: string };
    const changed = fetch(`${address}/v1/agent/service/a-1?hash=${ContentHash}`);
    await put(address, "agent/service/register", { ID: "a-1", Name: "a", Port: 2 });
    const next = (await (await changed).json()) as { ContentHash: string; Port: number };
    assert.equal(next.Port, 2);
    const gone = fetch(`${address}/v1/agent/service/a-1?hash=${next.ContentHash}`);
    await put(address, "agent/service/deregister/a-1");
    assert.equal((await gone).status, 404);
  });

  it("sees a killed gRPC server within 1 s although its interval is a minute", async () => {
    const { address } = await start();
    const server = cleanup.use(await HealthServer.start());
    const Check = { GRPC: `127.0.0.1:${server.port}`, Interval: "1m", Timeout: "2s" };
    await put(address, "agent/service/register", { Name: "a", Port: server.port, Check });
    await becomes(address, "a", "passing", 1000);
    await server.kill();
    await becomes(address, "a", "critical", 1000);
  });

  it("gives a gRPC server that does not answer up after the check's timeout", async () => {
    const { address } = await start();
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    cleanup.defer(() => new Promise((closed) => silent.close(closed)).then(() => undefined));
    const target = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const Check = { GRPC: target, Interval: "1m", Timeout: "100ms", Status: "passing" };
    await put(address, "agent/service/register", { Name: "a", Check });
    await becomes(address, "a", "critical", 2000);
  });

  for (const [code, expected] of [
    [204, "passing"],
    [429, "warning"],
    [302, "critical"],
    [503, "critical"],
  ] as const) {
    it(`an HTTP check that gets ${code} is ${expected}`, async () => {
      const { address } = await start();
      const target = createServer((_, response) => response.writeHead(code, { location: "/" }).end()).listen(0, "127.0.0.1");
      await once(target, "listening");
      cleanup.defer(() => new Promise((closed) => target.close(closed)).then(() => undefined));
      const HTTP = `http://127.0.0.1:${(target.address() as AddressInfo).port}/health`;
      const Status = expected === "critical" ? "passing" : "critical";
      await put(address, "agent/service/register", { Name: "a", Check: { HTTP, Interval: "10s", Status } });
      await becomes(address, "a", expected, 2000);
    });
  }

  it("a TTL check turns critical when its time runs out, and passing by a word from outside", async () => {
    const { address } = await start();
    await put(address, "agent/service/register", { Name: "a", Check: { TTL: "50ms", Status: "passing" } });
    await becomes(address, "a", "critical", 2000);
    await put(address, "agent/check/pass/service:a?note=fine");
    await becomes(address, "a", "passing", 1000);
    await becomes(address, "a", "critical", 2000);
    const [entry] = await health(address, "a");
    assert.equal(entry?.Checks[1]?.Output, "TTL expired (last output before timeout follows): fine");
  });

  it("registered again, a service keeps its check's status and is probed at once", async () => {
    const { address } = await start();
    const server = cleanup.use(await HealthServer.start());
    const definition = { Name: "a", Check: { GRPC: `127.0.0.1:${server.port}`, Interval: "1m" } };
    await put(address, "agent/service/register", definition);
    await becomes(address, "a", "passing", 1000);
    const { checks } = server;
    await put(address, "agent/service/register", definition);
    assert.equal(status(await health(address, "a")), "passing");
    await until(() => server.checks > checks, 1000);
  });

  it("keeps services, checks, keys and its node's id through kill -9", async () => {
    const first = await spawnAgent(dataDir);
    cleanup.defer(() => first.kill());
    await put(first.address, "agent/service/register", { ID: "a-1", Name: "a", Tags: ["x"], Check: { TTL: "1h" } });
    await put(first.address, "kv/heddle/a", "value");
    const nodeId = ((await get(first.address, "agent/self")) as { Config: { NodeID: string } }).Config.NodeID;
    const index = Number((await fetch(`${first.address}/v1/catalog/services`)).headers.get("x-consul-index"));
    await first.kill();
    const { address } = await start();
    assert.deepEqual(await get(address, "catalog/services"), { a: ["x"] });
    assert.equal(status(await health(address, "a")), "critical");
    assert.equal(await (await fetch(`${address}/v1/kv/heddle/a?raw`)).text(), "value");
    assert.equal(((await get(address, "agent/self")) as { Config: { NodeID: string } }).Config.NodeID, nodeId);
    const next = await fetch(`${address}/v1/catalog/services?index=${index}&wait=10s`);
    assert.ok(Number(next.headers.get("x-consul-index")) > index);
  });

  it("a restart with its data shows watchers no other set than before", async () => {
    const first = await startAgent({ host: "127.0.0.1", port: 0, dataDir, log });
    const server = cleanup.use(await HealthServer.start());
    await put(first.address, "agent/service/register", {
      ...{ Name: "a", Address: "127.0.0.1", Port: server.port },
      Check: { GRPC: `127.0.0.1:${server.port}`, Interval: "1s", Status: "passing" },
    });
    const registry = cleanup.use(openConsul({ address: first.address, log }));
    const states: string[] = [];
    cleanup.use(registry.watchService("a", (instances) => states.push(instances.map(({ status }) => status).join())));
    await until(() => states.length === 1, 1000);
    await first.close();
    await until(() => !registry.status().connected, 2000);
    const { checks } = server;
    const second = await startAgent({ host: "127.0.0.1", port: first.port, dataDir, log });
    cleanup.defer(() => second.close());
    await until(() => registry.status().connected && server.checks > checks, 6000);
    assert.deepEqual(states, ["passing"]);
  });

  it("sets a state file aside that it cannot read, and starts empty", async () => {
    await writeFile(join(dataDir, "consul-agent.json"), '{"version":1,"index":');
    const { address } = await start();
    assert.deepEqual(await get(address, "catalog/services"), {});
    const files = await readdir(dataDir);
    assert.equal(files.filter((file) => /^consul-agent\.json\.unreadable-[0-9a-f]{8}$/.test(file)).length, 1);
  });

  it("shows services and health at /ui, with all that came from outside escaped", async () => {
    const { address } = await start();
    await put(address, "agent/service/register", { Name: "<b>a</b>", Port: 7, Tags: ['"&'] });
    const page = await fetch(`${address}/ui`);
    const html = await page.text();
    assert.match(html, /&#60;b&#62;a&#60;\/b&#62;/);
    assert.match(html, /&#34;&#38;/);
    assert.doesNotMatch(html, /<b>a/);
    assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  });

  it("answers a client that cuts its request off with nothing, and goes on", async () => {
    const { address, port } = await start();
    const cut = request({ port, method: "PUT", path: "/v1/kv/a", headers: { "content-length": 100 } });
    cut.on("error", () => undefined);
    cut.write("half");
    await new Promise((flushed) => setImmediate(flushed));
    cut.destroy();
    assert.equal((await fetch(`${address}/v1/kv/a`)).status, 404);
  });

  it("refuses a body above 512 KiB with 413, and takes one of 512 KiB", async () => {
    const { address } = await start();
    assert.equal((await put(address, "kv/a", "x".repeat(512 * 1024))).status, 200);
    assert.equal((await put(address, "kv/a", "x".repeat(512 * 1024 + 1))).status, 413);
  });
});

/** An agent in a process of its own, to be killed. */
async function spawnAgent(dataDir: string) {
  const program = `
    import { startAgent } from ${JSON.stringify(new URL("./agent.ts", import.meta.url).href)};
    import { pino } from "pino";
    const agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir: ${JSON.stringify(dataDir)}, log: pino({ level: "silent" }) });
    console.log(agent.address);`;
  const cwd = join(import.meta.dirname, "../..");
  const child: ChildProcess = spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout ?? process.stdin, "data")) as [Buffer];
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { address: line.toString().trim(), kill };
}
