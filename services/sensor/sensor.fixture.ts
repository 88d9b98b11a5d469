/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real PostgreSQL. */
import assert from "node:assert/strict";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { SensorService } from "#gen/sensor/v1/sensor_pb.ts";
import { Status, type Test } from "#gen/sensor/v1/test_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { openOutbox, type StoredEvent } from "#mesh/outbox/outbox.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import { openAnalyst } from "./analyst.ts";
import { type Changes, followChanges } from "./changes.ts";
import { sensorHandlers } from "./handlers.ts";
import type { Who } from "./ownership.ts";
import { startRunner } from "./runner.ts";

/** Two people, an administrator and a service; the last of Ann's calls came while auth was away. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asEtl: Who = { principal: undefined, caller: service("etl") };
export const asDegradedAnn: Who = { principal: { ...person(ann), degraded: true }, caller: service("gateway") };

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([SensorService]);

/** A log that nobody reads. */
export const silent: Logger = createLogger({ service: "sensor", instance: "test", level: "silent" });

/** A fresh, migrated database. */
export async function freshDatabase(): Promise<Database> {
  const db = await openDatabase({ url: await testDatabase(), service: "sensor", log: silent });
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return db;
}

/** How a fixture differs from the service. */
export interface FixtureOptions {
  /** Whether tests with stored samples are worked on. Default true. */
  readonly working?: boolean;
  /** Default Date.now. */
  readonly clock?: () => number;
  /** Default 15 s. */
  readonly leaseMs?: number;
  /** Default 5 minutes. */
  readonly uploadTimeoutMs?: number;
}

/** The whole service but its server, with a client for each caller. */
export interface Fixture extends AsyncDisposable {
  readonly changes: Changes;
  /** The events that were published. */
  readonly events: StoredEvent[];
  as(who: Who): Client<typeof SensorService>;
}

/** Serves the contract on `db`. */
export async function serve(db: Database, options: FixtureOptions = {}): Promise<Fixture> {
  const { working = true, clock = Date.now, leaseMs = 15_000, uploadTimeoutMs = 300_000 } = options;
  const scope = new AsyncDisposableStack();
  const events: StoredEvent[] = [];
  const meter = metrics.getMeter("test");
  const publish = async (event: StoredEvent) => void events.push(event);
  const outbox = scope.use(await openOutbox({ db, publish, log: silent, meter, clock }));
  const analyst = scope.use(openAnalyst(1));
  const charts = scope.use(openCharts());
  const runner = working ? scope.use(startRunner({ db, analyst, outbox, log: silent, meter, clock, leaseMs })) : undefined;
  const changes = scope.use(await followChanges({ db, log: silent, onChange: () => runner?.wake() }));
  const { methods } = sensorHandlers({ db, analyst, charts, changes, outbox, log: silent, clock, leaseMs, uploadTimeoutMs });
  const as = (who: Who) => {
    const within: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const interceptors = [validate, within];
    const transport = createRouterTransport(({ service }) => service(SensorService, methods), { router: { interceptors } });
    return createClient(SensorService, transport);
  };
  return { as, changes, events, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

/** The test once it is done. */
export async function finished(client: Client<typeof SensorService>, testId: string): Promise<Test> {
  return eventually("the end of the test", async () => {
    const { test } = await client.getTest({ testId });
    return test?.status === Status.PROCESSING ? undefined : test;
  });
}

/** 20 degrees with a little noise that is the same every time. */
export function calm(length: number): number[] {
  return Array.from({ length }, (_, index) => 20 + 0.005 * Math.sin(index * index));
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
