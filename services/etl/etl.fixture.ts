/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real PostgreSQL. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import { type CreateJobRequestSchema, EtlService } from "#gen/etl/v1/etl_pb.ts";
import { type Job, Status } from "#gen/etl/v1/job_pb.ts";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { type UpsertItemsRequest, VectorService } from "#gen/vector/v1/vector_pb.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import { followChanges } from "./changes.ts";
import { type Folder, openFolder } from "./folder.ts";
import { etlHandlers } from "./handlers.ts";
import type { Who } from "./ownership.ts";
import { querySources } from "./query-source.ts";
import { type Runner, startRunner } from "./runner.ts";
import { type Sweeper, startSweeper } from "./sweeper.ts";
import { openWorkers } from "./workers.ts";

/** Two people, an administrator and a service. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asAnalysis: Who = { principal: undefined, caller: service("analysis") };

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([EtlService]);

/** A log that nobody reads, unless HEDDLE_LOG_LEVEL says so. */
export const silent: Logger = createLogger({ service: "etl", instance: "test", level: process.env.HEDDLE_LOG_LEVEL ?? "silent" });

/** A fresh, migrated database. */
export async function freshDatabase(): Promise<Database> {
  const db = await openDatabase({ url: await testDatabase(), service: "etl", log: silent });
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return db;
}

/** How a fixture differs from the service. */
export interface FixtureOptions {
  /** Default Date.now. */
  readonly clock?: () => number;
  /** Whether jobs are worked on. Default true. */
  readonly working?: boolean;
  readonly leaseMs?: number;
  readonly uploadTimeoutMs?: number;
  readonly retentionMs?: number;
  readonly maxUploadBytes?: number;
  readonly maxUserBytes?: number;
  readonly maxTableBytes?: number;
  readonly sources?: ReadonlyMap<string, string>;
  readonly queryTimeoutMs?: number;
  /** A folder that the test keeps; default: one of its own. */
  readonly folder?: string;
  /** What the vector service says to items. */
  readonly upsertItems?: (request: UpsertItemsRequest) => void;
}

/** The whole service but its server, with a client for each caller. */
export interface Fixture extends AsyncDisposable {
  readonly folder: Folder;
  readonly sweeper: Sweeper;
  readonly runner: Runner | undefined;
  as(who: Who): Client<typeof EtlService>;
}

/** Serves the contract on `db`. */
export async function serve(db: Database, options: FixtureOptions = {}): Promise<Fixture> {
  const { clock = Date.now, working = true, sources = new Map(), queryTimeoutMs = 10_000 } = options;
  const scope = new AsyncDisposableStack();
  const path = options.folder ?? (await mkdtemp(join(tmpdir(), "heddle-etl-")));
  if (options.folder === undefined) scope.defer(() => rm(path, { recursive: true, force: true }));
  const folder = await openFolder(path);
  const workers = scope.use(openWorkers(1));
  const limits = {
    leaseMs: 15_000,
    uploadTimeoutMs: 60_000,
    retentionMs: 3_600_000,
    maxUploadBytes: 2 ** 30,
    maxUserBytes: 2 ** 31,
    maxDiskBytes: 2 ** 32,
    maxTableBytes: 2 ** 31,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => typeof value === "number")),
  };
  const meter = metrics.getMeter("test");
  const base = { ...limits, db, folder, workers, sources: querySources(sources, queryTimeoutMs), log: silent, meter, clock };
  const sweeper = scope.use(startSweeper(base));
  const vector = createClient(
    VectorService,
    createRouterTransport(({ service: serving }) =>
      serving(VectorService, {
        async upsertItems(requests) {
          let upsertedCount = 0n;
          for await (const request of requests) {
            options.upsertItems?.(request);
            upsertedCount += BigInt(request.items.length);
          }
          return { upsertedCount };
        },
      }),
    ),
  );
  const runner = working ? scope.use(startRunner({ ...base, vector, concurrency: 2 })) : undefined;
  const changes = scope.use(await followChanges({ db, log: silent, onChange: () => runner?.wake() }));
  const { methods } = etlHandlers({ ...base, sourceRole: "admin", changes });
  const as = (who: Who) => {
    const within: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const interceptors = [validate, within];
    const transport = createRouterTransport(({ service: serving }) => serving(EtlService, methods), { router: { interceptors } });
    return createClient(EtlService, transport);
  };
  return { as, folder, sweeper, runner, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

/** Uploads a text, or bytes, in pieces of `piece` bytes, and answers with the upload's id. */
export async function upload(
  client: Client<typeof EtlService>,
  fileName: string,
  content: string | Uint8Array,
  piece = 64 * 1024,
): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const requests = (async function* () {
    yield { fileName, content: { data: bytes.subarray(0, piece) } };
    for (let at = piece; at < bytes.length; at += piece) yield { content: { data: bytes.subarray(at, at + piece) } };
  })();
  return (await client.uploadFile(requests)).upload?.id ?? "";
}

/** A job's source, steps and load. */
export type JobInit = Omit<MessageInitShape<typeof CreateJobRequestSchema>, "$typeName">;

/** Runs a job to its end. */
export async function run(client: Client<typeof EtlService>, job: JobInit): Promise<Job> {
  const made = (await client.createJob(job)).job;
  return ended(client, made?.id ?? "");
}

/** The job once it has ended. */
export async function ended(client: Client<typeof EtlService>, jobId: string): Promise<Job> {
  for await (const { job } of client.watchJob({ jobId }, { timeoutMs: 60_000 })) {
    if (job !== undefined && job.completeTime !== undefined) return job;
  }
  throw new Error(`the watch of job ${jobId} ended before the job`);
}

/** All rows of a table, as objects. */
export async function rowsOf(client: Client<typeof EtlService>, table: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const { batch } of client.readTable({ table })) rows.push(...(batch?.rows ?? []));
  return rows;
}

/** All bytes of a download, as text. */
export async function textOf(pieces: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  return Buffer.from(await bytesOf(pieces)).toString("utf8");
}

/** All bytes of a download. */
export async function bytesOf(pieces: AsyncIterable<{ data: Uint8Array }>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const { data } of pieces) parts.push(data);
  return new Uint8Array(Buffer.concat(parts));
}

/** Asserts that a job has succeeded. */
export function succeeded(job: Job): Job {
  assert.equal(job.status, Status.SUCCEEDED, job.failureReason);
  return job;
}

/** Asserts that `call` is refused with `code`, naming exactly `field` when one is given. Answers with the message. */
export async function refused(call: Promise<unknown>, code: Code, field?: string): Promise<string> {
  const error = await call.then(
    () => assert.fail(`expected ${Code[code]}, got an answer`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.equal(Code[error.code], Code[code], error.message);
  if (field !== undefined) {
    const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map((one) => one.field));
    assert.deepEqual(fields, [field], error.message);
  }
  return error.rawMessage;
}

/** Polls until `get` answers something, for at most 20 s. */
export async function eventually<T>(what: string, get: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const value = await get();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited 20 s in vain for ${what}`);
}

function contextOf({ principal, caller }: Who, signal: AbortSignal): CallContext {
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 0, state: "" };
  const client = { address: "", userAgent: "" };
  const deadline = Number.POSITIVE_INFINITY;
  return { deadline, signal, principal, caller, trace, correlationId: "test", criticality: "CRITICAL", client };
}

function person(id: string, ...roles: string[]): Principal {
  const expiresAt = Number.POSITIVE_INFINITY;
  return { kind: "user", id, roles, scopes: [], sessionId: "s", token: "t", expiresAt, degraded: false };
}

function service(id: string): Principal {
  return { ...person(id), kind: "service", sessionId: "", token: "" };
}
