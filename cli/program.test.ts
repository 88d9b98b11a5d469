import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platform } from "../services/platform.ts";

describe("heddle", () => {
  let folder = "";

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-program-"));
  });

  after(() => rmSync(folder, { recursive: true }));

  function heddle(...words: string[]) {
    const env = { ...process.env, HEDDLE_DATA: join(folder, "data") };
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "heddle.mjs"), ...words], {
      env,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  }

  const help = "(`heddle --help` lists the commands)";
  const cases = [
    [[], 2, `heddle: name a command ${help}\n`],
    [["stauts"], 2, `heddle: unknown command 'stauts' (Did you mean status?) ${help}\n`],
    [["status", "--jsno"], 2, `heddle: unknown option '--jsno' (Did you mean --json?) ${help}\n`],
    [["scale", "auth"], 2, `heddle: missing required argument 'n' ${help}\n`],
    [
      ["scale", "auth", "x"],
      2,
      `heddle: command-argument value 'x' is invalid for argument 'n'. Expected a whole number from 0 to 20. ${help}\n`,
    ],
    [["gateway", "--upstream", "a=b:1"], 2, "heddle: name an image by --contracts, or ask the servers by --reflect\n"],
    [["up", "nothing"], 2, `heddle: nothing is not a service of the platform: ${platform.map(({ name }) => name).join(", ")}\n`],
    [["status"], 1, "heddle: the platform is not running: start it with `heddle up`\n"],
    [["restart", "auth"], 1, "heddle: the platform is not running: start it with `heddle up`\n"],
    [
      ["call", "auth.v1.AuthService/Registr"],
      2,
      /^heddle: auth\.v1\.AuthService has no method Registr; it has Register, Login, /,
    ],
    [
      ["call", "auth.v1.Auth/Login"],
      2,
      /^heddle: auth\.v1\.Auth\/Login: expected pkg\.Service\/Method, with one of the services .*\bauth\.v1\.AuthService, /,
    ],
    [["call", "auth.v1.AuthService/Login", "{"], 2, /^heddle: the request is not a auth\.v1\.LoginRequest: /],
  ] as const;
  for (const [words, status, stderr] of cases) {
    it(`${words.join(" ") || "without a word"} ends with ${status} and one line`, () => {
      const result = heddle(...words);
      assert.equal(result.status, status, result.stderr);
      assert.equal(result.stdout, "");
      if (typeof stderr === "string") assert.equal(result.stderr, stderr);
      else assert.match(result.stderr, stderr);
      assert.equal(result.stderr.trim().split("\n").length, 1);
    }).timeout(60_000);
  }

  it("--help lists every command and ends with 0", () => {
    const { status, stdout } = heddle("--help");
    assert.equal(status, 0);
    const commands = ["up", "down", "status", "logs", "restart", "scale", "call", "url", "doctor", "gateway", "config", "admin"];
    for (const command of commands) assert.match(stdout, new RegExp(`^  ${command}\\b`, "m"));
  });

  it("--version is that of package.json", () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8"));
    assert.deepEqual(heddle("--version"), { status: 0, stdout: `${version}\n`, stderr: "" });
  });

  it("gateway --port with a port that is taken says by whom", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const image = join(import.meta.dirname, "../gen/contracts.binpb");
    const { status, stderr } = heddle(
      ...["gateway", "--contracts", image, "--upstream", "auth.v1.AuthService=127.0.0.1:1", "--port", String(port)],
    );
    server.close();
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^heddle: port ${port}, which the gateway wants, is taken by .* with --port\\n$`));
  }).timeout(60_000);

  it("down without a platform says so and ends with 0", () => {
    assert.deepEqual(heddle("down"), { status: 0, stdout: "the platform is not running\n", stderr: "" });
  });

  it("names every setting that is wrong at once", () => {
    const env = { ...process.env, HEDDLE_DATA: join(folder, "data"), HEDDLE_PORT_OFFSET: "x", HEDDLE_AUTH_PORT: "70000" };
    const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "heddle.mjs"), "up"], {
      env,
      encoding: "utf8",
    });
    assert.equal(status, 2);
    assert.match(stderr, /HEDDLE_PORT_OFFSET: expected a whole number from 0 to 50000, got "x"/);
    assert.match(stderr, /HEDDLE_AUTH_PORT: expected a port from 0 to 65535, got "70000"/);
  });
});
