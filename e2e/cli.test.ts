/** The heddle command as its user meets it: on a platform that runs, with what it prints and the code it ends with. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "./http.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");
const program = join(root, "cli/heddle.mjs");

describe("heddle, on a platform that runs", () => {
  let platform: Platform;
  let consul = "";

  before(async function () {
    this.timeout(90_000);
    platform = await startPlatform();
    consul = `http://127.0.0.1:${8500 + platform.offset}`;
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  const environment = () => ({ ...process.env, ...platform.env });

  function heddle(words: readonly string[], env: Readonly<Record<string, string>> = {}, input = "") {
    return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        [program, ...words],
        { cwd: root, env: { ...environment(), ...env } },
        (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
      child.stdin?.end(input);
    });
  }

  function follow(...words: readonly string[]): { readonly child: ChildProcess; readonly text: () => string } {
    const child = spawn(process.execPath, [program, ...words], {
      cwd: root,
      env: environment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout?.on("data", (part: Buffer) => {
      text += part.toString();
    });
    return { child, text: () => text };
  }

  async function interrupt(child: ChildProcess): Promise<unknown> {
    const ended = once(child, "exit");
    child.kill("SIGINT");
    const [code, signal] = await ended;
    return signal ?? code;
  }

  it("status shows every process ready, and ends with 0", async () => {
    const { code, stdout } = await heddle(["status"]);
    assert.equal(code, 0);
    for (const name of ["consul", "postgres", "auth-1", "notification-1", "gateway-1"]) {
      assert.match(stdout, new RegExp(`^${name} +ready +\\d+ +\\d+ +0 `, "m"));
    }
  });

  it("status --watch shows it again every second, until Ctrl-C", async () => {
    const { child, text } = follow("status", "--watch");
    await until("the second look", () => (text().match(/^auth-1 +ready/gm)?.length ?? 0) >= 2);
    assert.equal(await interrupt(child), "SIGINT");
  });

  it("logs -f shows what is written from now on, until Ctrl-C", async () => {
    const { child, text } = follow("logs", "gateway", "-f", "-n", "0");
    await until("a line of the log", async () => {
      await request("GET", `${platform.gateway}/no/such/path`);
      return text().includes("path=/no/such/path status=404");
    });
    assert.equal(await interrupt(child), "SIGINT");
  });

  it("logs nothing names what has logs", async () => {
    const { code, stderr } = await heddle(["logs", "nothing"]);
    assert.equal(code, 1);
    assert.match(stderr, /^heddle: nothing has no log; there are logs of auth-1, .*postgres\n$/);
  });

  it("call prints the response, and reads the request from stdin for -", async () => {
    const { code, stdout } = await heddle(["call", "auth.v1.AuthService/GetJwks", "-"], {}, "{}\n");
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).keys[0].alg, "EdDSA");
  });

  it("call of a method that refuses prints google.rpc.Status on stderr, and ends with 1", async () => {
    const { code, stdout, stderr } = await heddle(["call", "auth.v1.AuthService/GetMe", "--token", "forged"]);
    assert.deepEqual([code, stdout], [1, ""]);
    const { code: status, details } = JSON.parse(stderr);
    assert.deepEqual([status, details[0].reason], [16, "TOKEN_INVALID"]);
  });

  it("call --address asks there, and refuses what is none", async () => {
    const address = `127.0.0.1:${7001 + platform.offset}`;
    assert.equal((await heddle(["call", "auth.v1.AuthService/GetJwks", "--address", address])).code, 0);
    const { code, stderr } = await heddle(["call", "auth.v1.AuthService/GetJwks", "--address", "nonsense"]);
    assert.equal(code, 2);
    assert.match(stderr, /argument 'nonsense' is invalid\. Expected host:port\./);
  });

  describe("config explain", () => {
    const name = "auth.v1.AuthService/GetMe";
    const key = () => `${consul}/v1/kv/heddle/service-config/auth.v1.AuthService`;
    const explain = async () => heddle(["config", "explain", name]);
    afterEach(() => fetch(key(), { method: "DELETE" }));

    it("gives each value with the path that set it, or default", async () => {
      const { code, stdout } = await explain();
      assert.equal(code, 0);
      assert.match(
        stdout,
        /^auth\.v1\.AuthService\/GetMe\nfrom proto\/auth\/v1\/service-config\.json, version \w+, entry methodConfig\[1\]\n/,
      );
      assert.match(stdout, /^timeout +5s +methodConfig\[1\]\.timeout$/m);
      assert.match(stdout, /^retryPolicy\.maxAttempts +4 +methodConfig\[1\]\.retryPolicy\.maxAttempts$/m);
      assert.match(stdout, /^circuitBreaker\.openTime +1s +circuitBreaker\.openTime$/m);
      assert.match(stdout, /^circuitBreaker\.minimumCalls +20 +default$/m);
    });

    it("takes the registry's key in place of the file", async () => {
      const value = { methodConfig: [{ name: [{ service: "auth.v1.AuthService" }], timeout: "2s" }] };
      await fetch(key(), { method: "PUT", body: JSON.stringify(value) });
      const { stdout } = await explain();
      assert.match(stdout, /^from Consul KV heddle\/service-config\/auth\.v1\.AuthService, /m);
      assert.match(stdout, /^timeout +2s +methodConfig\[0\]\.timeout$/m);
      assert.match(stdout, /^retryPolicy +none +default$/m);
    });

    it("tells every mistake of a key that services refuse, and ends with 1", async () => {
      await fetch(key(), {
        method: "PUT",
        body: JSON.stringify({ methodConfig: [{ name: [{ service: "x.Y" }], timeout: "2" }] }),
      });
      const { code, stdout, stderr } = await explain();
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^heddle: Consul KV heddle\/service-config\/auth\.v1\.AuthService is refused/);
      assert.match(stderr, /methodConfig\[0\]\.timeout/);
      assert.match(stderr, /methodConfig\[0\]\.name\[0\]/);
    });
  });

  it("url prints each healthy instance, else what the environment says, else fails", async () => {
    assert.equal((await heddle(["url", "auth"])).stdout, `http://127.0.0.1:${7001 + platform.offset}\n`);
    assert.equal((await heddle(["url", "ledger"], { LEDGER_SERVICE_URL: "http://a:1" })).stdout, "http://a:1\n");
    const { code, stderr } = await heddle(["url", "ledger"]);
    assert.deepEqual([code, stderr], [1, "heddle: ledger is not in the registry, and LEDGER_SERVICE_URL is not set\n"]);
  }).timeout(60_000);

  it("scale adds and removes instances, restart replaces them, and neither touches the platform's own parts", async () => {
    const scaled = await heddle(["scale", "notification", "2"]);
    assert.match(scaled.stdout, /^notification-2 is ready on port \d+\n$/);
    const restarted = await heddle(["restart", "notification"]);
    assert.equal(restarted.code, 0, restarted.stderr);
    assert.match(restarted.stdout, /^notification-1 is ready$/m);
    assert.equal((await heddle(["scale", "notification", "1"])).stdout, "notification-2 is stopped\n");
    const { code, stderr } = await heddle(["scale", "postgres", "2"]);
    assert.equal(code, 1);
    assert.match(stderr, /^heddle: postgres belongs to the platform itself/);
  }).timeout(90_000);

  it("doctor finds nothing that fails", async () => {
    const { code, stdout } = await heddle(["doctor"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok +ports +held by the platform, which runs$/m);
    assert.match(stdout, /^ok +consul +1\.8\.7\+heddle at /m);
  }).timeout(60_000);

  it("doctor names the setting that is wrong once, and does not check what needs it", async () => {
    const { code, stdout } = await heddle(["doctor"], { CONSUL_HTTP_ADDR: "ht tp", HEDDLE_DATA: join(platform.dataDir, "none") });
    assert.equal(code, 1);
    assert.equal(stdout.match(/expected host:port or a URL with http: or https:, got "ht tp"/g)?.length, 1);
    assert.match(stdout, /^warn +ports +not checked, since the settings are wrong$/m);
  }).timeout(60_000);

  it("up a second time says that it runs, in the foreground and in the background", async () => {
    for (const words of [["up"], ["up", "--detach"]]) {
      const { code, stderr } = await heddle(words);
      assert.equal(code, 1);
      const pid = platform.supervisor.pid;
      assert.equal(
        stderr,
        `heddle: the platform is running already (pid ${pid}): see \`heddle status\`, or end it with \`heddle down\`\n`,
      );
    }
  });

  it("up in another folder names the port that is taken, by whom, and the variable that moves it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "heddle-cli-"));
    try {
      const { code, stderr } = await heddle(["up"], { HEDDLE_DATA: folder });
      assert.equal(code, 1);
      const port = 7001 + platform.offset;
      assert.match(
        stderr,
        new RegExp(`^heddle: port ${port}, which auth wants, is taken by .+ \\(pid \\d+\\): .* with HEDDLE_AUTH_PORT\\n$`),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  }).timeout(60_000);

  // A suite of its own, since mocha runs those after the tests above.
  describe("down", () => {
    it("stops everything in the reverse order; then there is nothing to ask", async () => {
      const { code, stdout } = await heddle(["down"]);
      assert.equal(code, 0);
      const stopped = stdout.trim().split("\n");
      assert.deepEqual(stopped.slice(-2), ["consul is stopped", "postgres is stopped"]);
      assert.equal(stopped.length, 5);
      assert.deepEqual(await heddle(["status"]), {
        code: 1,
        stdout: "",
        stderr: "heddle: the platform is not running: start it with `heddle up`\n",
      });
      assert.deepEqual(await heddle(["down"]), { code: 0, stdout: "the platform is not running\n", stderr: "" });
    }).timeout(60_000);
  });
});
