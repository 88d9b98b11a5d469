import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { type ClientHttp2Session, connect } from "node:http2";
import { join } from "node:path";
import { request } from "./http.ts";
import { bodyKinds } from "./malformed-bodies.ts";
import { calls, garbage, type MalformedCall } from "./malformed-frames.ts";
import { headKinds } from "./malformed-heads.ts";
import type { Malformed, Sender } from "./malformed-request.ts";
import { type Platform, type PlatformProcess, startPlatform } from "./platform.ts";
import { Dice } from "./random.ts";
import { exchange } from "./raw-socket.ts";
import { until } from "./until.ts";

const kinds = { ...bodyKinds, ...headKinds };

/** Kinds whose requests are large: a few of them show what there is to show. */
const few: Readonly<Record<string, number>> = { manyValues: 10, inflated: 10 };

describe("2,000 malformed requests and 300 malformed calls, on the platform as `npm start` runs it", () => {
  let platform: Platform;
  let gateway: number;
  let sender: Sender;
  let atFirst: readonly PlatformProcess[];
  before(async function () {
    this.timeout(90_000);
    platform = await startPlatform();
    gateway = 8080 + platform.offset;
    atFirst = await platform.processes();
    sender = await signUp(platform, "mallory@example.com");
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  it("one request of 4 MB whose values would take 270 MB is refused, and the gateway goes on", async () => {
    const body = Buffer.from(`[${"{},".repeat(1_390_000)}{}]`);
    const response = await fetch(`${platform.gateway}/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const { message } = (await response.json()) as { message: string };
    assert.equal(response.status, 400);
    assert.match(message, /^body: the values up to here take more memory than a request may/);
  });

  const shares = sharesOf(2000, Object.keys(kinds));
  for (const [kind, make] of Object.entries(kinds)) {
    const count = shares.get(kind) ?? 0;
    it(`answers ${count} of the kind ${kind} with 4xx and the field or the rule that was broken`, async () => {
      const dice = new Dice(seedOf(kind));
      const all = Array.from({ length: count }, () => make(dice, sender));
      await inParallel(all, 4, async (one) => check(one, await answerOf(gateway, one)));
    });
  }

  const callKinds = Object.entries(calls);
  it(`answers 160 malformed gRPC calls of ${callKinds.length} kinds with a status and what is wrong`, async () => {
    const session = connect(`http://127.0.0.1:${7001 + platform.offset}`);
    try {
      for (const [kind, make] of callKinds) {
        const dice = new Dice(seedOf(kind));
        const all = Array.from({ length: 160 / callKinds.length }, () => make(dice));
        await inParallel(all, 4, async (one) => {
          const { status, code, message } = await answerOfCall(session, one);
          const shown = `${kind} ${JSON.stringify(one.headers)} ${one.body.toString("hex").slice(0, 200)} got ${status} ${code} ${message}`;
          assert.match(code === undefined ? String(status) : message, one.names, shown);
          // UNKNOWN, UNAVAILABLE and DATA_LOSS would be our fault. INTERNAL is what gRPC has for bytes that are no message.
          assert.ok(code === undefined || ![2, 14, 15].includes(code), shown);
          assert.ok(status === 200 || (status >= 400 && status < 500), shown);
        });
      }
    } finally {
      session.destroy();
    }
  });

  const garbageKinds = Object.entries(garbage);
  it(`outlives 144 connections with garbage of ${garbageKinds.length} kinds, and serves others meanwhile`, async () => {
    for (const [kind, make] of garbageKinds) {
      const dice = new Dice(seedOf(kind));
      const all = Array.from({ length: 144 / garbageKinds.length }, () => make(dice));
      await inParallel(all, 4, async (bytes) => {
        await exchange(7001 + platform.offset, bytes, { end: true, timeoutMs: 500 });
      });
      assert.equal((await fetch(`${platform.gateway}/.well-known/jwks.json`)).status, 200, kind);
    }
  });

  it("no process was started again, none wrote of an error, and all serve", async () => {
    // A process may be exchanged for a fresh one just now, which is no restart: `heddle status` fails until all are ready.
    let atLast: readonly PlatformProcess[] = [];
    await until("every process to be ready", async () => {
      atLast = await platform.processes().catch(() => []);
      return atLast.length > 0;
    });
    const restarts = (processes: readonly PlatformProcess[]) => processes.map(({ service, restarts }) => [service, restarts]);
    assert.deepEqual(restarts(atLast), restarts(atFirst), platform.output());
    assert.deepEqual(new Set(atLast.map((process) => process.restarts)), new Set([0]), platform.output());
    const folder = join(platform.dataDir, "logs");
    for (const name of await readdir(folder)) {
      const lines = (await readFile(join(folder, name), "utf8")).split("\n");
      const bad = lines.filter((line) => /"level":"(error|fatal)"|FATAL ERROR|^\s+at /.test(line));
      assert.deepEqual(bad.slice(0, 3), [], name);
    }
    await until("a user to register and sign in", async () => (await signUp(platform, "ada@example.com")).token !== "");
  });
});

async function signUp(platform: Platform, email: string): Promise<Sender> {
  const password = "a long analytical engine";
  await request("POST", `${platform.gateway}/api/v1/auth/register`, { body: { email, password, name: "Ada" } });
  const { body } = await request("POST", `${platform.gateway}/api/v1/auth/login`, { body: { email, password } });
  return { token: body.access_token ?? "", userId: body.user?.id ?? "" };
}

/** What came back: its status, and the message of its google.rpc.Status. */
interface Answer {
  readonly raw: string;
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

async function answerOf(port: number, { bytes, cutOff = false }: Malformed): Promise<Answer> {
  const raw = (await exchange(port, bytes, { end: cutOff })).bytes.toString("latin1");
  const [, status = "0", body = ""] = /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n(.*)$/s.exec(raw) ?? [];
  const { code = 0, message = "" } = body === "" ? {} : (JSON.parse(body) as { code?: number; message?: string });
  return { raw, status: Number(status), code, message };
}

function check({ bytes, statuses, names, cutOff = false }: Malformed, { raw, status, code, message }: Answer): void {
  // Whoever hangs up in the middle may be gone before there is anything to say.
  if (cutOff && raw === "") return;
  const shown = `${JSON.stringify(bytes.toString("latin1").slice(0, 300))} got ${JSON.stringify(raw.slice(0, 500))}`;
  assert.ok(statuses.includes(status), shown);
  assert.match(message, names, shown);
  assert.ok(Number.isInteger(code) && code > 0, shown);
}

interface CallAnswer {
  readonly status: number;
  readonly code: number | undefined;
  readonly message: string;
}

function answerOfCall(session: ClientHttp2Session, { path, headers, body }: MalformedCall): Promise<CallAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let [status, code, message]: [number, number | undefined, string] = [0, undefined, ""];
    const read = (fields: Record<string, unknown>) => {
      if (fields["grpc-status"] === undefined) return;
      code = Number(fields["grpc-status"]);
      message = decodeURIComponent(String(fields["grpc-message"] ?? ""));
    };
    stream.setTimeout(5000, () => stream.destroy(new Error(`no answer to ${path}`)));
    stream.on("response", (fields) => {
      status = Number(fields[":status"]);
      read(fields);
    });
    stream.on("trailers", read);
    stream.on("error", reject);
    stream.on("close", () => resolve({ status, code, message }));
    stream.resume();
    stream.end(body);
  });
}

/** How many of each kind: all the same, but for the few. */
function sharesOf(total: number, names: readonly string[]): ReadonlyMap<string, number> {
  const others = names.filter((name) => few[name] === undefined);
  const left = total - names.reduce((sum, name) => sum + (few[name] ?? 0), 0);
  const share = Math.ceil(left / others.length);
  return new Map(names.map((name) => [name, few[name] ?? share]));
}

function seedOf(name: string): number {
  return [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) | 0, 7);
}

async function inParallel<T>(items: readonly T[], count: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
