/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real PostgreSQL. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VectorService } from "#gen/vector/v1/vector_pb.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import { openEmbedder } from "./embedder.ts";
import { vectorHandlers } from "./handlers.ts";
import { openIndexHome } from "./index-home.ts";
import { openIndexThread } from "./index-thread.ts";
import { type Indexes, openIndexes } from "./indexes.ts";
import type { Who } from "./ownership.ts";
import type { RemoteEmbedding } from "./remote-embedding.ts";

/** Two people, an administrator and a service. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asEtl: Who = { principal: undefined, caller: service("etl") };

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([VectorService]);

/** A log that nobody reads. */
export const silent: Logger = createLogger({
  service: "vector",
  instance: "test",
  level: process.env.HEDDLE_LOG_LEVEL ?? "silent",
});

/** A fresh, migrated database. */
export async function freshDatabase(): Promise<Database> {
  const db = await openDatabase({ url: await testDatabase(), service: "vector", log: silent });
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return db;
}

/** A folder that is gone when it is disposed. */
export async function freshFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "heddle-vector-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** How a fixture differs from the service. */
export interface FixtureOptions {
  /** The data folder; default: one of its own. */
  readonly dataDir?: string;
  readonly remote?: RemoteEmbedding;
  /** Default 1,000,000. */
  readonly maxItems?: number;
  /** Default 512 MB. */
  readonly maxBytes?: number;
  /** Default Date.now. */
  readonly clock?: () => number;
}

/** The whole service but its server, with a client for each caller. */
export interface Fixture extends AsyncDisposable {
  readonly indexes: Indexes;
  /** Where the indexes are. */
  readonly path: string;
  as(who: Who): Client<typeof VectorService>;
}

/** Serves the contract on `db`. */
export async function serve(db: Database, options: FixtureOptions = {}): Promise<Fixture> {
  const { maxItems = 1_000_000, maxBytes = 512 * 2 ** 20, clock = Date.now, remote } = options;
  const scope = new AsyncDisposableStack();
  const dataDir = options.dataDir ?? scope.use(await freshFolder()).path;
  const { path } = scope.use(openIndexHome(dataDir));
  const openThread = (onLost: (error: Error) => void) => openIndexThread({ memoryMb: 256, onLost });
  const indexes = scope.use(await openIndexes({ db, openThread, log: silent, path, maxBytes, clock }));
  const embedder = scope.use(openEmbedder(remote));
  const { methods } = vectorHandlers({ db, indexes, embedder, clock, maxItems, effort: 400 });
  const as = (who: Who) => {
    const within: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const interceptors = [validate, within];
    const transport = createRouterTransport(({ service }) => service(VectorService, methods), { router: { interceptors } });
    return createClient(VectorService, transport);
  };
  return { as, indexes, path, [Symbol.asyncDispose]: () => scope.disposeAsync() };
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

/** Polls until `get` answers something, for at most 10 s. */
export async function eventually<T>(what: string, get: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const value = await get();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited 10 s in vain for ${what}`);
}

/** Numbers from 0 to 1 that are the same every time (Mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Numbers of the normal distribution (Box and Muller). */
export function normalFrom(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
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
