/** A REST client of the running platform, as a person would use it, with the time that each answer took. */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";

/** One answer. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the demo states the shape of each body where it reads it
  readonly body: any;
  /** Milliseconds from the request to the whole body. */
  readonly ms: number;
}

/** A person with an account, signed in. */
export interface PlatformUser {
  readonly gateway: string;
  readonly id: string;
  readonly email: string;
  readonly token: string;
  /** Sends a request with the person's token, or another one. */
  ask(method: string, path: string, body?: unknown, token?: string): Promise<RestAnswer>;
  /** The same, and throws a Failure unless the status is 200. */
  want(method: string, path: string, body?: unknown): Promise<RestAnswer["body"]>;
}

/**
 * Registers somebody new at the running platform's gateway and signs in.
 *
 * @throws Failure when no platform runs, or one of `services` does not.
 */
export async function newUser(context: CommandContext, name: string, services: readonly string[]): Promise<PlatformUser> {
  const running = await platformStatus(context.folder);
  if (running === undefined) throw new Failure("the platform is not running: start it with `heddle up`");
  const missing = ["gateway", ...services].filter((one) => !running.processes.some(({ service }) => service === one));
  if (missing.length > 0) throw new Failure(`the demo needs ${missing.join(", ")} too: start all with \`heddle up\``);
  const port = running.processes.find(({ service }) => service === "gateway")?.port;
  const gateway = `http://127.0.0.1:${port}`;
  const email = `${name}-${randomUUID().slice(0, 8)}@example.com`;
  const password = randomBytes(12).toString("base64url");
  const registered = await rest(gateway, "POST", "/api/v1/auth/register", "", { email, password, name });
  if (registered.status !== 200) throw new Failure(`${email} could not register: ${told(registered)}`);
  const login = await rest(gateway, "POST", "/api/v1/auth/login", "", { email, password });
  if (login.status !== 200) throw new Failure(`${email} could not sign in: ${told(login)}`);
  const token = String(login.body.access_token);
  const ask: PlatformUser["ask"] = (method, path, body, other) => rest(gateway, method, path, other ?? token, body);
  return {
    gateway,
    id: String(login.body.user.id),
    email,
    token,
    ask,
    want: async (method, path, body) => {
      const answer = await ask(method, path, body);
      if (answer.status !== 200) throw new Failure(`${method} ${path} answered ${told(answer)}`);
      return answer.body;
    },
  };
}

/** Asks again every 100 ms until `done` says so. @throws Failure after `limitMs`, with the last answer. */
export async function eventually(
  what: string,
  ask: () => Promise<RestAnswer>,
  done: (answer: RestAnswer) => boolean,
  limitMs = 20_000,
): Promise<RestAnswer> {
  const startedAt = Date.now();
  for (;;) {
    const answer = await ask();
    if (done(answer)) return answer;
    if (Date.now() - startedAt > limitMs) throw new Failure(`${what}: not within ${limitMs / 1000} s; last ${told(answer)}`);
    await sleep(100);
  }
}

/** An answer in a few words. */
export function told({ status, body }: RestAnswer): string {
  const message = typeof body?.message === "string" ? body.message : JSON.stringify(body ?? "").slice(0, 200);
  return `${status} ${message}`;
}

async function rest(gateway: string, method: string, path: string, token: string, body: unknown): Promise<RestAnswer> {
  const startedAt = performance.now();
  const response = await fetch(gateway + path, {
    method,
    headers: {
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  const { status, headers } = response;
  const parsed = text !== "" && headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : text;
  return { status, headers, body: parsed, ms: Math.round(performance.now() - startedAt) };
}
