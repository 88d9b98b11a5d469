/** `heddle new gateway`, as a new user would go: from one command to the first REST answer of a project outside this one. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../cli/supervisor/ports.ts";
import { request } from "./http.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");

describe("heddle new gateway ../price-list", () => {
  const parent = mkdtempSync(join(tmpdir(), "heddle-new-gateway-"));
  const folder = join(parent, "price-list");
  const running: ChildProcess[] = [];
  let url = "";
  let startedAt = 0;

  const heddle = (...words: string[]) => {
    const program = join(root, "cli/heddle.mjs");
    return spawnSync(process.execPath, [program, "new", "gateway", ...words], { cwd: parent, encoding: "utf8" });
  };
  const npm = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync("npm", words, { cwd: folder, encoding: "utf8", timeout: 90_000 });
    return { status, output: `${stdout}${stderr}` };
  };
  /** In a group of its own, which npm's children belong to. */
  const start = (...words: string[]) => {
    running.push(spawn("npm", words, { cwd: folder, stdio: "ignore", detached: true }));
  };

  before(async function () {
    this.timeout(180_000);
    const [port = 0, backend = 0] = await freePorts("127.0.0.1", 2);
    url = `http://127.0.0.1:${port}`;
    startedAt = performance.now();
    const { status, stderr } = heddle("price-list", "--port", String(port), "--backend", `127.0.0.1:${backend}`);
    assert.equal(status, 0, stderr);
    const installed = npm("install", "--prefer-offline", "--no-audit", "--no-fund");
    if (installed.status !== 0 && /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED/.test(installed.output)) {
      if (process.env.CI) throw new Error(installed.output);
      console.log("      skipped: npm's registry cannot be reached");
      this.skip();
    }
    assert.equal(installed.status, 0, installed.output);
    start("run", "backend");
    start("start");
  });
  after(async function () {
    this.timeout(30_000);
    for (const { pid } of running) if (pid !== undefined) process.kill(-pid, "SIGTERM");
    await Promise.all(running.map(async (child) => child.exitCode === null && child.signalCode === null && once(child, "exit")));
    rmSync(parent, { recursive: true, force: true });
  });

  it("answers over REST within 60 s of the command", async () => {
    await until(
      "the first answer",
      async () => (await request("GET", `${url}/v1/notes`).catch(() => undefined))?.status === 200,
      60_000,
    );
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    console.log(`      first REST answer after ${seconds} s`);
    assert.ok(seconds < 60);
    const { status, body } = await request("POST", `${url}/v1/notes`, { body: { text: "green tea" } });
    assert.deepEqual([status, body], [200, { id: "1", text: "green tea" }]);
    assert.deepEqual((await request("GET", `${url}/v1/notes?words=tea`)).body, { notes: [body] });
    assert.equal((await request("GET", `${url}/v1/notes/2`)).status, 404);
  }).timeout(90_000);

  it("serves a change of its contract without a restart", async () => {
    const file = join(folder, "proto/price_list/v1/price_list.proto");
    writeFileSync(file, readFileSync(file, "utf8").replace('get: "/v1/notes/{id}"', 'get: "/v2/notes/{id}"'));
    const { status, output } = npm("run", "contracts");
    assert.equal(status, 0, output);
    await until("the route of the new image", async () => (await request("GET", `${url}/v2/notes/1`)).status === 200);
    assert.equal((await request("GET", `${url}/v1/notes/1`)).status, 404);
    writeFileSync(file, readFileSync(file, "utf8").replace("/v2/notes", "/v1/notes"));
    assert.equal(npm("run", "contracts").status, 0);
  }).timeout(60_000);

  it("has a test that passes, and that fails when its backend is broken", () => {
    const passed = npm("test");
    assert.equal(passed.status, 0, passed.output);
    const file = join(folder, "backend.mjs");
    const backend = readFileSync(file, "utf8");
    writeFileSync(file, backend.replace("text.includes(words)", "!text.includes(words)"));
    assert.match(npm("test").output, /^. fail 1$/m);
    writeFileSync(file, backend);
  }).timeout(120_000);

  it("refuses a folder that holds something, a name that cannot be one, and Heddle's own folder; nothing is written", () => {
    for (const [path, message] of [
      ["price-list", "heddle: price-list exists, and is not empty\n"],
      ["Price", "heddle: Price: expected a folder in lower case, such as library or price-list: it names the contract\n"],
      [
        join(root, "inside"),
        `heddle: ${join(root, "inside")} is inside of Heddle's own folder: a service in here is made by \`heddle new service\`\n`,
      ],
    ] as const) {
      const { status, stderr } = heddle(path);
      assert.deepEqual([status, stderr], [2, message]);
    }
    assert.deepEqual([readdirSync(parent), existsSync(join(root, "inside"))], [["price-list"], false]);
  });
});
