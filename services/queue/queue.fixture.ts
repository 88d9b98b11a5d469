/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real backend. */
import assert from "node:assert/strict";
import type { JsonValue } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { durationFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { QueueService } from "#gen/queue/v1/queue_pb.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { reasonOf } from "#mesh/errors.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import type { Who } from "./access.ts";
import type { Backend } from "./backend.ts";
import { queueHandlers } from "./handlers.ts";
import { defaultRules } from "./messages.ts";
import type { NewMessage, Queue } from "./queue.ts";
import { insertQueue } from "./store.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** Two people, an administrator and a service. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asLedger: Who = { principal: undefined, caller: service("ledger") };

/** A log that nobody reads. */
export const silent: Logger = createLogger({
  service: "queue",
  instance: "test",
  level: process.env.HEDDLE_LOG_LEVEL ?? "silent",
});

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([QueueService]);

/** A fresh, migrated database, and where it is. */
export async function freshDatabase(): Promise<{ db: Database; url: string }> {
  const url = await testDatabase();
  const db = await openDatabase({ url, service: "queue", log: silent });
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return { db, url };
}

/** The handlers, with a client for each caller. */
export interface Fixture extends Disposable {
  readonly room: WaitingRoom;
  as(who: Who, deadlineMs?: number): Client<typeof QueueService>;
}

/** Serves the contract on a backend. */
export function serve(db: Database, backend: Backend, maxQueues = 100): Fixture {
  const room = new WaitingRoom(100);
  const listening = backend.onReady((queueId) => room.wake(queueId));
  const { methods } = queueHandlers({ db, backend, room, clock: Date.now, meter: metrics.getMeter("test"), maxQueues });
  const as = (who: Who, deadlineMs = Number.POSITIVE_INFINITY) => {
    const inCall: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal, Date.now() + deadlineMs);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const interceptors = [validate, inCall];
    const transport = createRouterTransport(({ service }) => service(QueueService, methods), { router: { interceptors } });
    return createClient(QueueService, transport);
  };
  return {
    room,
    as,
    [Symbol.dispose]() {
      listening[Symbol.dispose]();
      room[Symbol.dispose]();
    },
  };
}

/** A queue in the database and in the backend. */
export async function newQueue(db: Database, backend: Backend, rules: Partial<Queue> = {}): Promise<Queue> {
  const now = Date.now();
  const id = uuidv7();
  const queue = { ...defaultRules, ordered: false, id, name: `q-${id}`, owner: ann, createTime: now, updateTime: now, ...rules };
  await backend.create(queue);
  await insertQueue(db, queue, { caller: queue.owner, requestId: undefined, contentHash: "" });
  return queue;
}

/** A message to publish. */
export function message(data: unknown, more: Partial<NewMessage> = {}): NewMessage {
  const now = Date.now();
  const content = { data: JSON.stringify(data), headers: {}, priority: 0, orderingKey: "" };
  return { id: uuidv7(now), ...content, publishTime: now, dueTime: undefined, ...more };
}

/** A JSON value as the contract carries it. */
export function json(value: JsonValue) {
  return fromJson(ValueSchema, value);
}

/** Seconds as the contract carries them. */
export function seconds(count: number) {
  return durationFromMs(count * 1000);
}

/** Asserts that `call` is refused with `code`, naming exactly `field`, or with the reason `field` in capitals, when one is given. */
export async function refused(call: Promise<unknown>, code: Code, field?: string): Promise<void> {
  const error = await call.then(
    () => assert.fail(`expected ${Code[code]}, got an answer`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.equal(Code[error.code], Code[code], error.message);
  if (field === undefined) return;
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map((one) => one.field));
  assert.deepEqual(reasonOf(error) === undefined ? fields : [reasonOf(error)], [field], error.message);
}

/** Polls until `get` answers something, for at most `ms` milliseconds. */
export async function eventually<T>(what: string, get: () => Promise<T | undefined | false>, ms = 15_000): Promise<T> {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const value = await get();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited ${ms} ms in vain for ${what}`);
}

function contextOf({ principal, caller }: Who, signal: AbortSignal, deadline: number): CallContext {
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 0, state: "" };
  const client = { address: "", userAgent: "" };
  return { deadline, signal, principal, caller, trace, correlationId: "test", criticality: "CRITICAL", client };
}

function person(id: string, ...roles: string[]): Principal {
  const expiresAt = Number.POSITIVE_INFINITY;
  return { kind: "user", id, roles, scopes: [], sessionId: "s", token: "t", expiresAt, degraded: false };
}

function service(id: string): Principal {
  return { ...person(id), kind: "service", sessionId: "", token: "" };
}
