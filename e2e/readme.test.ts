/** The README holds: its tour and its walk through a new service are run as they stand there, its tables are compared with the code. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Setting } from "#mesh/config.ts";
import { processSettings } from "#mesh/settings.ts";
import { platformSettings } from "../cli/supervisor/settings.ts";
import { gatewaySettings } from "../gateway/service.ts";
import { platform as services } from "../services/platform.ts";
import { request } from "./http.ts";
import { type Platform, type PlatformProcess, startPlatform } from "./platform.ts";
import { copyProject, type ProjectCopy } from "./project-copy.ts";
import { findTool, needTool } from "./tools.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** A section's text, from its heading to the next of its level. */
function section(heading: string): string {
  const start = readme.indexOf(`\n## ${heading}\n`);
  assert.notEqual(start, -1, `the README has no section ${heading}`);
  const end = readme.indexOf("\n## ", start + 1);
  return readme.slice(start, end === -1 ? undefined : end);
}

/** The contents of the fenced blocks of a language, their indentation taken off. */
function blocks(text: string, language: string): readonly string[] {
  const fenced = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, "gm"));
  return [...fenced].map(([, indent = "", body = ""]) => body.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
}

const path = [dirname(process.execPath), dirname(findTool("grpcurl") ?? process.execPath), process.env.PATH].join(delimiter);

describe("README.md, the tour, pasted into a shell", () => {
  let platform: Platform;
  /** What each block printed, both streams. */
  let printed: readonly string[] = [];
  /** Commands that ended with another code than 0. */
  let failed: readonly string[] = [];

  /** What the block that holds `part` printed. */
  const said = (part: string) =>
    printed[blocks(section("A tour in five minutes"), "sh").findIndex((block) => block.includes(part))] ?? "";
  const jsonLines = (text: string) => text.split("\n").flatMap((line) => (line.startsWith('{"') ? [JSON.parse(line)] : []));

  before(async function () {
    this.timeout(180_000);
    const everything = services.map(({ name }) => name);
    platform = await startPlatform({}, everything);
    const { offset, dataDir } = platform;
    const moved = blocks(section("A tour in five minutes"), "sh").map((block) =>
      block
        .replaceAll(/localhost:(\d+)/g, (_, port) => `localhost:${Number(port) + offset}`)
        .replaceAll(".heddle/", `${dataDir}/`),
    );
    const runnable = moved.map((block) => (block.includes("grpcurl ") && findTool("grpcurl") === undefined ? ":\n" : block));
    const mark = "@@block@@";
    // Whoever reads the text between two blocks gives the first mail its time.
    const pause = `for i in $(seq 100); do ls ${dataDir}/notification/mail/*.eml > /dev/null 2>&1 && break; sleep 0.1; done`;
    const script = [
      "exec 2>&1",
      `trap 'echo "@@failed@@ $? $BASH_COMMAND"' ERR`,
      ...runnable.flatMap((block, at) => [`echo ${mark}`, at === 1 ? pause : ":", block]),
    ].join("\n");
    const env = { ...process.env, ...platform.env, PATH: path, CONSUL_HTTP_ADDR: "" };
    const { stdout, status } = spawnSync("bash", ["-s"], { cwd: root, env, input: script, encoding: "utf8", timeout: 120_000 });
    assert.equal(status, 0, stdout);
    failed = stdout.split("\n").filter((line) => line.startsWith("@@failed@@"));
    printed = stdout.split(`${mark}\n`).slice(1);
  });
  atEnd(() => platform?.[Symbol.asyncDispose]());

  it("runs every command to its end without a failure", () => assert.deepEqual(failed, []));

  it("registers ada, signs her in and tells who she is", () => {
    const [registered, me] = jsonLines(said("/auth/register"));
    assert.equal(registered.user.email, "ada@example.com");
    assert.deepEqual([me.id, me.name], [registered.user.id, "Ada"]);
  });

  it("sends a notification, reads it in the history, and leaves mail in files", () => {
    const [sent, history] = jsonLines(said("notifications:send"));
    assert.equal(sent.body, "It works.");
    assert.ok(history.notifications.some(({ id }: { id: string }) => id === sent.id));
    assert.match(said("notifications:send"), /^\S+\.eml$/m);
  });

  it("names the field of each mistake", () => {
    const fields = jsonLines(said("colour=red")).map(({ details }) => details[0].fieldViolations[0].field);
    assert.deepEqual(fields, ["email", "colour"]);
  });

  it("calls by buf curl over gRPC, gRPC-Web and Connect", () => {
    assert.equal(said("buf curl").match(/"email": "ada@example.com"/g)?.length, 3);
  });

  it("lists, describes and calls by grpcurl", function () {
    needTool(this, "grpcurl");
    const seen = said("grpcurl -plaintext");
    assert.match(seen, /^auth\.v1\.AuthService$/m);
    assert.match(seen, /post: "\/api\/v1\/auth\/login"/);
    assert.match(seen, /"email": "ada@example.com"/);
  });

  it("calls through the mesh, and shows every process ready and the health UP", () => {
    const seen = said("heddle call");
    assert.match(seen, /"email": "ada@example.com"/);
    for (const { name } of services) assert.match(seen, new RegExp(`^${name}-1 +ready`, "m"));
    assert.equal(jsonLines(seen).at(-1).status, "UP");
  });

  it("shows the catalog, and explains a policy before and after a key overrides it", () => {
    const seen = said("catalog/services");
    assert.match(seen, /"auth\.v1\.AuthService"/);
    assert.match(seen, /^from proto\/auth\/v1\/service-config\.json, /m);
    assert.match(seen, /^from Consul KV heddle\/service-config\/auth\.v1\.AuthService, /m);
    assert.match(seen, /^timeout +2s +methodConfig\[0\]\.timeout$/m);
    assert.equal(seen.match(/^true$/gm)?.length, 2);
  });

  it("answers 200 five times while one of two instances is killed", () => {
    const seen = said("kill -9");
    assert.match(seen, /^notification-2 is ready on port \d+$/m);
    assert.equal(seen.match(/^200$/gm)?.length, 5, seen);
    assert.match(seen, /notification-1 .*it was ended by SIGKILL/);
    assert.match(seen, /^notification-2 is stopped$/m);
  });

  it("tells how services work together, every promise kept", () => {
    assert.match(said("demo shop"), /^8 promises kept, 0 broken$/m);
  });

  it("confirms the address by the link in the first mail, which leads to this gateway", async () => {
    const folder = join(platform.dataDir, "notification/mail");
    const mails = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
    // Quoted-printable: a `=` at the end of a line joins it to the next, `=3D` is `=`.
    const text = mails
      .join("\n")
      .replaceAll(/=\r?\n/g, "")
      .replaceAll("=3D", "=");
    const link = /http\S+\/verify-email\?token=\S+/.exec(text)?.[0] ?? "";
    assert.ok(link.startsWith(`${platform.gateway}/verify-email?token=`), link);
    const { status, body } = await request("GET", link);
    assert.deepEqual([status, body.email, body.emailVerified], [200, "ada@example.com", true]);
  });
});

describe("README.md, gateway/README.md and services/README.md", () => {
  for (const file of ["README.md", "gateway/README.md", "services/README.md"]) {
    it(`${file} links to files and pictures that are there`, () => {
      const text = readFileSync(join(root, file), "utf8");
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
      assert.notEqual(links.length, 0);
      assert.deepEqual(
        links.filter((path) => !existsSync(join(root, dirname(file), path))),
        [],
      );
    });
  }
});

describe("README.md, a contract and a service added by its steps", () => {
  const text = section("Add a contract and a service");
  let copy: ProjectCopy;

  before(function () {
    this.timeout(60_000);
    copy = copyProject(["greeter"], { ...process.env, PATH: path });
  });
  atEnd(() => copy?.remove());

  it("answers over REST and through the mesh", async function () {
    this.timeout(120_000);
    const { env, heddle } = copy;
    for (const step of text.split(/^\d+\. /m).slice(1)) {
      const file = /`((?:proto|services)\/[\w./-]+)`/.exec(step)?.[1];
      const [code = ""] = blocks(step.slice(0, step.indexOf("Restart `npm start`")), "(?:proto|json|ts)");
      if (step.includes("npm run generate")) execFileSync(process.execPath, ["cli/generate.ts"], { cwd: copy.path, env });
      else if (file === "services/platform.ts") insertAfter(join(copy.path, file), /^ {2}service\("notification".*\n/m, code);
      else if (file !== undefined) write(join(copy.path, file), code);
    }
    heddle("up", "--detach", "greeter", "gateway");
    const { processes } = JSON.parse(heddle("status", "--json")) as { processes: readonly PlatformProcess[] };
    const gateway = `http://127.0.0.1:${processes.find(({ service }) => service === "gateway")?.port}`;
    await until(
      "the gateway to find greeter",
      async () => (await request("GET", `${gateway}/api/v1/greetings/Ada`)).status === 200,
    );
    assert.deepEqual((await request("GET", `${gateway}/api/v1/greetings/Ada`)).body, { text: "Hello, Ada!" });
    assert.equal((await request("GET", `${gateway}/api/v1/greetings/${"x".repeat(101)}`)).status, 400);
    assert.deepEqual(JSON.parse(heddle("call", "greeter.v1.GreeterService/Greet", '{"name": "Ada"}')), { text: "Hello, Ada!" });
    assert.match(heddle("config", "explain", "greeter.v1.GreeterService/Greet"), /^timeout +2s +methodConfig\[0\]\.timeout$/m);
  });
});

describe("README.md, the tables", () => {
  const rows = [...readme.matchAll(/^\| (.+?) \| (.+?)? ?\|(?: (.*?) ?\|)?$/gm)].map(([, ...cells]) =>
    cells.map((cell) => cell ?? ""),
  );
  const variables = rows.flatMap(([first = "", , fallback = ""]) => {
    const name = /^`((?:<SERVICE>|[A-Z])[A-Z0-9_<>]+)`$/.exec(first)?.[1];
    return name === undefined ? [] : [{ name, fallback }];
  });

  it("have every environment variable of the code, and no other", async () => {
    const elsewhere = [
      "HEDDLE_<SERVICE>_PORT",
      "HEDDLE_<SERVICE>_MEMORY_MB",
      "<SERVICE>_DATABASE_URL",
      "<SERVICE>_SERVICE_URL",
      "NO_COLOR",
    ];
    const read = (await settings()).map(({ variable }) => variable);
    assert.deepEqual(
      [...new Set(variables.map(({ name }) => name))].toSorted(),
      [...new Set([...read, ...elsewhere])].toSorted(),
    );
  });

  it("have the defaults of the code", async () => {
    for (const { variable, fallback, parse } of await settings()) {
      const value = fallback?.value;
      // Without a default of its own, or with one that depends on others: the table says it in words.
      if (value === undefined || value === "" || value === -1 || (Array.isArray(value) && value.length === 0)) continue;
      if (value instanceof Map && value.size === 0) continue;
      const said = variables
        .filter(({ name }) => name === variable)
        .map((row) => /`([^`]+)`$/.exec(row.fallback)?.[1] ?? row.fallback);
      assert.ok(
        said.some((text) => text === value || parse(text) === value),
        `${variable}: ${said.join(" and ")} against ${value}`,
      );
    }
  });

  it("have every heddle command, and no other", () => {
    const help = execFileSync(process.execPath, [join(root, "cli/heddle.ts"), "--help"], { encoding: "utf8" });
    const commands = [...help.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name).filter((name) => name !== "help");
    const listed = [...section("Commands").matchAll(/^\| `([a-z]+)\b/gm)].map(([, name]) => name);
    assert.deepEqual(listed.toSorted(), commands.toSorted());
  });
});

/** mocha's `after` with the time that stopping a platform takes. */
function atEnd(done: () => unknown): void {
  after(async function () {
    this.timeout(60_000);
    await done();
  });
}

async function settings(): Promise<readonly Setting<unknown>[]> {
  const folders = readdirSync(join(root, "services")).filter((name) => existsSync(join(root, "services", name, "settings.ts")));
  const modules = await Promise.all(folders.map((name) => import(join(root, "services", name, "settings.ts"))));
  const own = modules.flatMap((module: Record<string, Record<string, Setting<unknown>>>) =>
    Object.values(module).flatMap((group) => Object.values(group)),
  );
  return [platformSettings, processSettings, gatewaySettings]
    .flatMap((group) => Object.values(group) as Setting<unknown>[])
    .concat(own);
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function insertAfter(file: string, line: RegExp, text: string): void {
  const before = readFileSync(file, "utf8");
  const found = line.exec(before);
  assert.ok(found, `${file} has no line ${line}`);
  const at = found.index + found[0].length;
  writeFileSync(file, before.slice(0, at) + text + before.slice(at));
}
