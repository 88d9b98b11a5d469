/**
 * The whole platform against its own OpenAPI document, by schemathesis: whatever it sends, good or bad, no answer is a 5xx, has a
 * status or media type that the document does not name, or breaks the schema that it promises.
 *
 * Every operation of the document is tried, whichever services there are. Those that answer with a stream are not: they do not end.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platform as services } from "../services/platform.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { needTool } from "./tools.ts";

const long = process.env.HEDDLE_SOAK === "1";
/** Requests that are made up for each operation. */
const examples = long ? 100 : 5;
const minutes = long ? 60 : 15;
/** Those at the bounds of each field are some 50 for an operation: minutes, which the long form has. */
const phases = long ? "coverage,fuzzing" : "fuzzing";

/** What must hold of every answer. What is accepted and what refused is for the vectors of gateway/conformance. */
const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
];

const key = "schemathesis-key-of-an-operator";

describe("the platform, by its own OpenAPI document", function () {
  this.timeout(minutes * 60_000);
  let program: string;
  let platform: Platform;
  let folder: string;
  before(async function () {
    program = needTool(this, "schemathesis");
    folder = await mkdtemp(join(tmpdir(), "heddle-schemathesis-"));
    platform = await startPlatform(
      { GATEWAY_RATE_LIMIT: "0", ALLOWED_API_KEYS: `schemathesis:${key}:admin`, HEDDLE_LOG_LEVEL: "warn" },
      services.map(({ name }) => name),
    );
    await writeFile(join(folder, "openapi.json"), JSON.stringify(await strictDocument(platform)));
  });
  after(async () => {
    await platform?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it("holds for somebody who has signed in", async () => run({ Authorization: `Bearer ${await signIn(platform)}` }));
  it("holds for nobody", () => run({}));
  it("holds for an operator's API key", () => run({ "X-API-Key": key }));

  async function run(headers: Record<string, string>): Promise<void> {
    const report = join(folder, "report.json");
    const args = [
      ...["run", join(folder, "openapi.json"), "--url", platform.gateway, "--checks", checks.join()],
      ...["--phases", phases, "--max-examples", String(examples), "--seed", "20261121", "--no-shrink"],
      ...[
        "--workers",
        "2",
        "--request-timeout",
        "20",
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
        "--continue-on-failure",
      ],
      ...["--report", "json", "--report-json-path", report, "--output-sanitize", "false"],
      ...Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
    ];
    const { code, output } = await ended(program, args, folder);
    const cases = /(\d+) generated/.exec(output)?.[1] ?? /Test cases:\s*\n?\s*(\d+)/.exec(output)?.[1];
    console.log(`      ${cases ?? "some"} requests`);
    assert.equal(code, 0, output.length < 20_000 ? output : `${output.slice(0, 15_000)}\n...\n${output.slice(-4_000)}`);
  }
});

/** The document without the answers of every other status, so that each status must be named, and without streams. */
async function strictDocument({ gateway }: Platform): Promise<object> {
  const document = (await (await fetch(`${gateway}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, { responses }] of Object.entries(item)) {
      delete responses?.default;
      const streams = responses?.["101"] !== undefined || responses?.["200"]?.content?.["text/event-stream"] !== undefined;
      if (streams) delete item[method];
    }
    if (Object.keys(item).length === 0) delete document.paths[path];
  }
  return document;
}

interface Operation {
  readonly responses?: Record<string, { readonly content?: Readonly<Record<string, unknown>> }>;
}

async function signIn({ gateway }: Platform): Promise<string> {
  const post = async (path: string, body: object) => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    return (await fetch(`${gateway}${path}`, init)).json() as Promise<{ access_token: string }>;
  };
  const who = { email: "schemathesis@example.com", password: "correct horse battery staple" };
  await post("/api/v1/auth/register", { ...who, name: "Schemathesis" });
  return (await post("/api/v1/auth/login", who)).access_token;
}

function ended(program: string, args: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { cwd, maxBuffer: 2 ** 27, env: { ...process.env, NO_COLOR: "1" } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` });
    });
  });
}
