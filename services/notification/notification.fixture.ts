/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real PostgreSQL. */
import assert from "node:assert/strict";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Channel as ContractChannel } from "#gen/notification/v1/message_pb.ts";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import { type Changes, followChanges } from "./changes.ts";
import type { Channel, Delivery, OutgoingMessage } from "./channel.ts";
import { type HandlerParts, notificationHandlers } from "./handlers.ts";
import type { ChannelName } from "./notification.ts";
import type { Who } from "./ownership.ts";

/** Two people, an administrator and a service. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asAuth: Who = { principal: undefined, caller: service("auth") };

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([NotificationService]);

/** A fresh, migrated database. */
export async function freshDatabase(): Promise<Database> {
  const url = await testDatabase();
  const db = await openDatabase({ url, service: "notification", log: silent });
  urls.set(db, url);
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return db;
}

const urls = new WeakMap<Database, string>();

/** Where a fresh database is, for a second instance of the service on it. */
export function urlOf(db: Database): string {
  return urls.get(db) ?? assert.fail("expected a database of freshDatabase()");
}

/** A log that nobody reads. */
export const silent: Logger = createLogger({ service: "notification", instance: "test", level: "silent" });

/** The handlers on `db`, with a client for each caller. */
export interface Fixture extends AsyncDisposable {
  readonly changes: Changes;
  as(who: Who): Client<typeof NotificationService>;
}

/** Serves the contract on `db`. `parts` replaces what the handlers are given. */
export async function serve(db: Database, parts: Partial<HandlerParts> & { mailboxSize?: number } = {}): Promise<Fixture> {
  const { mailboxSize, ...given } = parts;
  const size = mailboxSize === undefined ? {} : { mailboxSize };
  const changes = await followChanges({ db, log: silent, onPending: () => {}, ...size });
  const { methods } = notificationHandlers({
    ...{ db, changes, clock: Date.now, pushPublicKey: "public", webhookSecret: "whsec_c2VjcmV0", allowPrivate: false },
    ...given,
  });
  const as = (who: Who) => {
    const within: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const interceptors = [validate, within];
    const transport = createRouterTransport(({ service }) => service(NotificationService, methods), { router: { interceptors } });
    return createClient(NotificationService, transport);
  };
  return { as, changes, [Symbol.asyncDispose]: () => changes[Symbol.asyncDispose]() };
}

/** A call's context. */
export function contextOf({ principal, caller }: Who, signal: AbortSignal): CallContext {
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 0, state: "" };
  const client = { address: "", userAgent: "" };
  const deadline = Number.POSITIVE_INFINITY;
  return { deadline, signal, principal, caller, trace, correlationId: "test", criticality: "CRITICAL", client };
}

/** A channel that keeps what it is given and answers as told: with each delivery in turn, the last one for good. */
export function recorder(...answers: readonly Delivery[]): Channel & { readonly sent: OutgoingMessage[] } {
  const sent: OutgoingMessage[] = [];
  return {
    sent,
    async send(message) {
      sent.push(message);
      return answers[Math.min(sent.length, answers.length) - 1] ?? { ok: true, detail: "taken" };
    },
  };
}

/** Four channels: the given ones, and recorders that take everything. */
export function channelsWith(some: Partial<Record<ChannelName, Channel>>): Record<ChannelName, Channel> {
  return { email: recorder(), sms: recorder(), push: recorder(), webhook: recorder(), ...some };
}

/** A request to send, without its content. */
export const mail = { channel: ContractChannel.EMAIL, recipient: "ann@example.com" } as const;

/** A text as content. */
export const text = (body = "there", subject = "Hi") => ({ case: "text", value: { subject, body } }) as const;

/** A template with values as content. */
export const use = (name: string, values: Record<string, string>) => ({ case: "template", value: { name, values } }) as const;

/** The keys of a browser (RFC 8291, appendix A). */
export const browserKeys = {
  p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
  auth: "BTBZMqHH6r4Tts7J_aSIgg",
};

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

/** Polls until `get` answers something, for at most 10 s. */
export async function eventually<T>(what: string, get: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const value = await get();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited 10 s in vain for ${what}`);
}

function person(id: string, ...roles: string[]): Principal {
  return {
    kind: "user",
    id,
    roles,
    scopes: [],
    sessionId: "s",
    token: "t",
    expiresAt: Number.POSITIVE_INFINITY,
    degraded: false,
  };
}

function service(id: string): Principal {
  return { ...person(id), kind: "service", sessionId: "", token: "" };
}
