/** auth on a real PostgreSQL, called as the server would call it, with a clock that tests turn and a notification service they switch off. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type DescMethod, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { pino } from "pino";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { SendRequest } from "#gen/notification/v1/notification_pb.ts";
import { currentContext, type Principal, runWithContext } from "#mesh/context.ts";
import { reasonOf, retryAfterMs, unavailable } from "#mesh/errors.ts";
import type { TokenVerifier } from "#mesh/identity/tokens.ts";
import { type Database, openDatabase, type Queryable } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { testDatabase } from "#mesh/testing.ts";
import { startAuth } from "./auth.ts";
import { PasswordHasher } from "./password-hash.ts";
import type { User } from "./user.ts";

/** The methods that answer with one message. */
type Unary = Exclude<keyof typeof AuthService.method, "watchRevocations">;

/** How a call is made. */
export interface CallOptions {
  /** The access token; it is verified as the server does. */
  readonly token?: string;
  readonly address?: string;
}

/** A running auth. */
export interface TestAuth extends AsyncDisposable {
  /** Of its database, for another instance. */
  readonly url: string;
  readonly db: Database;
  readonly verifier: TokenVerifier;
  /** Every mail that the notification service took, in order. */
  readonly mails: SendRequest[];
  /** What `call` goes on with; add to it to let time pass. */
  readonly clock: { offsetMs: number; now(): number };
  /** Refuses mails while true. */
  readonly notification: { away: boolean };
  call<M extends Unary>(
    method: M,
    request?: MessageInitShape<(typeof AuthService.method)[M]["input"]>,
    options?: CallOptions,
  ): Promise<MessageShape<(typeof AuthService.method)[M]["output"]>>;
  watch(signal: AbortSignal): AsyncIterable<{ revocations: { sessionId: string }[] }>;
  /** The actions of the audit log, oldest first, each with `!` before it when it was refused. */
  audited(): Promise<string[]>;
}

/** What a test may replace. */
export interface TestAuthOptions {
  /** The database; default a fresh one. */
  readonly url?: string;
  readonly adminEmails?: readonly string[];
  readonly hasher?: PasswordHasher;
  readonly secret?: string;
  /** Failures that lock an account; default 5. */
  readonly lockoutThreshold?: number;
  /** Comes between auth and its database. */
  readonly wrap?: (db: Database) => Database;
}

/** A password that no rule minds. */
export const good = "a good long passphrase";

/** Hashes that cost nothing. */
export const quickHasher = () => new PasswordHasher({ cost: { memory: 64, passes: 1, parallelism: 1 }, concurrency: 8 });

/** Starts it. */
export async function startTestAuth(options: TestAuthOptions = {}): Promise<TestAuth> {
  const log = pino({ level: "silent" });
  const scope = new AsyncDisposableStack();
  const url = options.url ?? (await testDatabase());
  const db = scope.use(await openDatabase({ url, service: "auth", log }));
  await migrate(db, new URL("./migrations/", import.meta.url), log);
  const clock = { offsetMs: 0, now: () => Date.now() + clock.offsetMs };
  const notification = { away: false };
  const mails: SendRequest[] = [];
  const patience = { baseMs: 30_000, maxMs: 3_600_000, forgetMs: 86_400_000 };
  const { implementation, verifier } = await startAuth({
    db: options.wrap?.(db) ?? db,
    notification: {
      async send(request) {
        if (notification.away) throw unavailable("notification is away");
        const message = request as SendRequest;
        if (!mails.some(({ requestId }) => requestId === message.requestId)) mails.push(message);
        return { $typeName: "notification.v1.SendResponse" };
      },
    },
    log,
    clock: clock.now,
    scope,
    secret: options.secret ?? "a secret of the tests with more than 32 characters",
    publicUrl: "https://heddle.example/",
    adminEmails: options.adminEmails ?? [],
    sessionIdleMs: 30 * 86_400_000,
    keyLifetimeMs: 30 * 86_400_000,
    auditRetentionMs: 365 * 86_400_000,
    refusalMs: 0,
    guard: {
      account: { ...patience, threshold: options.lockoutThreshold ?? 5 },
      address: { ...patience, threshold: options.lockoutThreshold ?? 20 },
    },
    hasher: options.hasher ?? quickHasher(),
  });
  const methods = implementation.methods as unknown as Record<string, (request: unknown, context: HandlerContext) => unknown>;
  const never = { signal: new AbortController().signal } as HandlerContext;

  return {
    url,
    db,
    verifier,
    mails,
    clock,
    notification,
    async call(method, request, { token, address = "192.0.2.1" } = {}) {
      const principal = token === undefined ? undefined : await verifier.verify(token, clock.now());
      const desc: DescMethod = AuthService.method[method];
      const handler = methods[method];
      if (handler === undefined) throw new Error(`no handler for ${method}`);
      const message = create(desc.input, request as never);
      const answer = await runWithContext(contextOf(principal, address), () => handler(message, never));
      return create(desc.output, answer as never) as never;
    },
    watch: (signal) => methods.watchRevocations?.({}, { signal } as HandlerContext) as never,
    async audited() {
      const rows = await db.query<{ line: string }>(
        "select case when success then '' else '!' end || action as line from audit_events order by id",
      );
      return rows.map(({ line }) => line);
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

/** A user who has registered and signed in. */
export interface SignedUp {
  readonly user: Pick<User, "id" | "email">;
  readonly password: string;
  readonly token: string;
  readonly refreshToken: string;
}

/** Registers a new user and signs in. */
export async function signUp(auth: TestAuth, email = `user-${crypto.randomUUID()}@example.com`): Promise<SignedUp> {
  const password = good;
  const { user } = await auth.call("register", { email, password, name: "Ada Lovelace" });
  const { accessToken, refreshToken } = await auth.call("login", { email, password });
  return { user: { id: user?.id ?? "", email }, password, token: accessToken, refreshToken };
}

function contextOf(principal: Principal | undefined, address: string) {
  return {
    deadline: Number.POSITIVE_INFINITY,
    signal: new AbortController().signal,
    principal,
    caller: undefined,
    trace: { traceId: "", spanId: "", flags: 0, state: "" },
    correlationId: "test-correlation",
    criticality: "CRITICAL",
    client: { address, userAgent: "test/1.0" },
  } as const;
}

/** Notes the statements of calls, not those of the background, in the last list of `seen`, if there is one. */
export function recording(db: Database, seen: string[][]): Database {
  const note = (sql: string) => {
    if (currentContext() !== undefined) seen.at(-1)?.push(sql);
  };
  return {
    ...passing(db),
    query(sql, params) {
      note(sql);
      return db.query(sql, params);
    },
    transaction: (work, options) => {
      note("begin");
      const noted = (tx: Queryable) =>
        work({
          query(sql, params) {
            note(sql);
            return tx.query(sql, params);
          },
        });
      return db.transaction(noted, options);
    },
  };
}

/** Throws at a call's statement after `after` more, in or out of a transaction; Infinity: never. The background goes on. */
export function faulty(db: Database, fault: { after: number; error: () => Error }): Database {
  const step = () => {
    if (currentContext() !== undefined && --fault.after < 0) throw fault.error();
  };
  return {
    ...passing(db),
    async query(sql, params) {
      step();
      return db.query(sql, params);
    },
    transaction: (work, options) => {
      const stepping = (tx: Queryable) =>
        work({
          async query(sql, params) {
            step();
            return tx.query(sql, params);
          },
        });
      return db.transaction(stepping, options);
    },
  };
}

function passing(db: Database) {
  return {
    listen: db.listen.bind(db),
    check: db.check.bind(db),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

/** For assert.rejects: an error with this code. */
export const refused = (code: Code) => (error: unknown) => error instanceof ConnectError && error.code === code;
/** An error with this ErrorInfo reason. */
export const refusedFor = (reason: string) => (error: unknown) => error instanceof ConnectError && reasonOf(error) === reason;
/** RESOURCE_EXHAUSTED whose RetryInfo says about `ms`. */
export const lockedFor = (ms: number) => (error: unknown) => {
  const left = error instanceof ConnectError && error.code === Code.ResourceExhausted ? (retryAfterMs(error) ?? 0) : 0;
  return left > ms * 0.8 && left <= ms;
};
/** INVALID_ARGUMENT whose BadRequest names the field. */
export const refusedField = (field: string) => (error: unknown) =>
  error instanceof ConnectError &&
  error.code === Code.InvalidArgument &&
  error.findDetails(BadRequestSchema)[0]?.fieldViolations.some((violation) => violation.field === field) === true;

/** The token in the n-th mail. */
export function mailedToken(auth: TestAuth, index: number): string {
  const content = auth.mails[index]?.content;
  return content?.case === "template" ? (content.value.values.token ?? "") : "";
}

/** Waits until it is true, 10 s at most. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(10)) if (await condition()) return;
  assert.fail("the condition did not come true in time");
}
