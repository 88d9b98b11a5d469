/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real PostgreSQL. */
import assert from "node:assert/strict";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import type { Who } from "./access.ts";
import { type Appender, createAppender } from "./appender.ts";
import { eventHandlers, type RelayView } from "./handlers.ts";
import { createPublisher } from "./publish.ts";
import { followTail, type Tail } from "./tail.ts";
import { openTopicBook } from "./topic-book.ts";

/** Two people, an administrator and a service. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asPayment: Who = { principal: undefined, caller: service("payment") };

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([EventService]);

/** A log that nobody reads. */
export const silent: Logger = createLogger({ service: "events", instance: "test", level: "silent" });

/** A fresh, migrated database. */
export async function freshDatabase(): Promise<Database> {
  const url = await testDatabase();
  const db = await openDatabase({ url, service: "events", log: silent });
  urls.set(db, url);
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return db;
}

const urls = new WeakMap<Database, string>();

/** Where a fresh database is, for a second instance of the service on it. */
export function urlOf(db: Database): string {
  return urls.get(db) ?? assert.fail("expected a database of freshDatabase()");
}

/** The handlers on `db`, with a client for each caller. */
export interface Fixture extends AsyncDisposable {
  readonly tail: Tail;
  readonly appender: Appender;
  readonly subscribers: { count: number };
  as(who: Who, headers?: Readonly<Record<string, string>>): Client<typeof EventService>;
}

/** Serves the contract on `db`. */
export async function serve(
  db: Database,
  { relay, segment = 1000, maxTopics = 100 }: { relay?: RelayView; segment?: number; maxTopics?: number } = {},
): Promise<Fixture> {
  const clock = Date.now;
  const access = { openToReaders: false, openToPublishers: false };
  const defaults = { description: "", partitions: 4, retentionMs: undefined, retentionBytes: 0, ...access };
  const tail = await followTail({ db, log: silent });
  const topics = await openTopicBook({ db, log: silent, clock, defaults, maxTopics });
  const appender = createAppender({ db, log: silent, clock, segment });
  const publisher = createPublisher({ db, topics, appender, log: silent, clock });
  const subscribers = { count: 0 };
  const { methods } = eventHandlers({ db, publisher, tail, log: silent, clock, subscribers, relay });
  const as = (who: Who, headers: Readonly<Record<string, string>> = {}) => {
    const within: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal);
      for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const interceptors = [validate, within];
    const transport = createRouterTransport(({ service }) => service(EventService, methods), { router: { interceptors } });
    return createClient(EventService, transport);
  };
  return {
    ...{ as, tail, appender, subscribers },
    async [Symbol.asyncDispose]() {
      await tail[Symbol.asyncDispose]();
      await topics[Symbol.asyncDispose]();
    },
  };
}

function contextOf({ principal, caller }: Who, signal: AbortSignal): CallContext {
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 0, state: "" };
  const client = { address: "", userAgent: "" };
  const deadline = Number.POSITIVE_INFINITY;
  return { deadline, signal, principal, caller, trace, correlationId: "test", criticality: "CRITICAL", client };
}

/** Asserts that `call` is refused with `code`, naming exactly `field` when one is given. */
export async function refused(call: Promise<unknown>, code: Code, field?: string): Promise<void> {
  const error = await call.then(
    () => assert.fail(`expected ${Code[code]}, got an answer`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.equal(Code[error.code], Code[code], error.message);
  if (field === undefined) return;
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map((one) => one.field));
  assert.deepEqual(fields, [field], error.message);
}

/** Reads until `enough`, then cancels, as a client that leaves does; what was read. */
export async function take<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  enough: (seen: readonly T[]) => boolean,
): Promise<T[]> {
  const cut = new AbortController();
  const seen: T[] = [];
  try {
    for await (const item of open(cut.signal)) {
      seen.push(item);
      if (enough(seen)) cut.abort();
    }
  } catch (error) {
    if (!cut.signal.aborted) throw error;
  }
  return seen;
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

function person(id: string, ...roles: string[]): Principal {
  const same = { scopes: [], sessionId: "s", token: "t", expiresAt: Number.POSITIVE_INFINITY, degraded: false };
  return { kind: "user", id, roles, ...same };
}

function service(id: string): Principal {
  return { ...person(id), kind: "service", sessionId: "", token: "" };
}
