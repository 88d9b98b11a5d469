/**
 * Step 2: who sends the request. `Authorization: Bearer` is verified; `X-API-Key` is one of the gateway's own keys, or is
 * exchanged in auth for a token. A bearer token goes before a key.
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { Code, type ConnectError } from "@connectrpc/connect";
import { LRUCache } from "lru-cache";
import { currentContext, detachedContext, type Principal, runWithContext } from "#mesh/context.ts";
import { from, unauthenticated } from "#mesh/errors.ts";
import type { TokenVerifier } from "#mesh/identity/tokens.ts";

/** What proves identities; without any of them nobody can be known. */
export interface AuthenticateOptions {
  readonly verifier?: TokenVerifier;
  /** Exchanges an API key for an access token; UNAUTHENTICATED when auth does not know the key. */
  readonly exchangeApiKey?: (key: string) => Promise<string>;
  /** The gateway's own keys: `key`, `name:key`, or `name:key:role|scope|...` (a word with a colon in it is a scope). */
  readonly staticApiKeys?: readonly string[];
}

/** Who was found. */
export interface Identity {
  readonly principal: Principal | undefined;
  /**
   * True for one of the gateway's own keys. It proves a program that the operator trusts with the gateway, and nothing to
   * services: they see a call of the gateway in nobody's name, and refuse it where they want a person.
   */
  readonly own: boolean;
}

/** Finds out who sends a request. */
export interface Authenticator {
  /**
   * @throws UNAUTHENTICATED when there are credentials and they are not good; UNAVAILABLE when auth is needed and away.
   */
  identify(headers: IncomingHttpHeaders, now: number): Promise<Identity>;
}

const nobody: Identity = { principal: undefined, own: false };

/** An authenticator over `options`. */
export function createAuthenticator(options: AuthenticateOptions): Authenticator {
  const own = new Map((options.staticApiKeys ?? []).map((entry, index) => ownKey(entry, index)));
  const exchanged = new ExchangedKeys(options);
  return {
    async identify(headers, now) {
      // Without a verifier the header is the backend's to judge, of whatever scheme it is.
      const bearer = options.verifier === undefined ? undefined : bearerOf(headers);
      if (bearer !== undefined && options.verifier !== undefined) {
        return { principal: await options.verifier.verify(bearer, now), own: false };
      }
      const key = headers["x-api-key"];
      if (typeof key !== "string" || key === "") return nobody;
      const known = own.get(digest(key));
      if (known !== undefined) return { principal: known, own: true };
      return { principal: await exchanged.verify(key, now), own: false };
    },
  };
}

/** Whose rate a request counts against: the principal's, or the address's. */
export function clientKey({ principal }: Identity, address: string): string {
  return principal === undefined ? address : `${principal.kind}:${principal.id}`;
}

/** Whose answers the cache may show: those of the same session or key, with the same rights. */
export function cacheOwner({ principal, own }: Identity, { authorization = "" }: IncomingHttpHeaders): string {
  if (principal === undefined) return authorization;
  const { kind, id, sessionId, roles, scopes } = principal;
  return JSON.stringify([own, kind, id, sessionId, roles, scopes]);
}

/** How long before its end a token of an exchanged key is renewed. */
const renewMs = 30_000;
/** How long a key that auth refused is refused here without asking again. */
const refusedMs = 1000;

/** The tokens of API keys. A token is verified each time it is used, so a key that auth revokes stops at once. */
class ExchangedKeys {
  readonly #options: AuthenticateOptions;
  readonly #tokens = new LRUCache<string, { readonly token: string; readonly until: number }>({ max: 10_000 });
  readonly #refused = new LRUCache<string, { readonly error: ConnectError; readonly until: number }>({ max: 10_000 });
  readonly #pending = new Map<string, Promise<string>>();

  constructor(options: AuthenticateOptions) {
    this.#options = options;
  }

  async verify(key: string, now: number): Promise<Principal> {
    const { verifier } = this.#options;
    const id = digest(key);
    const refused = this.#refused.get(id);
    if (refused !== undefined && refused.until > now) throw refused.error;
    if (verifier === undefined) throw unauthenticated("API_KEY_INVALID", "x-api-key: no such key");
    const known = this.#tokens.get(id);
    if (known !== undefined && known.until > now) {
      try {
        return await verifier.verify(known.token, now);
      } catch (error) {
        this.#tokens.delete(id);
        throw error;
      }
    }
    const token = await whileWanted(this.#exchange(id, key, now));
    const principal = await verifier.verify(token, now);
    this.#tokens.set(id, { token, until: principal.expiresAt - renewMs });
    return principal;
  }

  #exchange(id: string, key: string, now: number): Promise<string> {
    const pending = this.#pending.get(id);
    if (pending !== undefined) return pending;
    const started = shared(() => this.#ask(id, key, now), now).finally(() => this.#pending.delete(id));
    this.#pending.set(id, started);
    return started;
  }

  async #ask(id: string, key: string, now: number): Promise<string> {
    const { exchangeApiKey } = this.#options;
    if (exchangeApiKey === undefined) throw unauthenticated("API_KEY_INVALID", "x-api-key: no such key");
    try {
      return await exchangeApiKey(key);
    } catch (thrown) {
      const error = from(thrown);
      const wrong = error.code === Code.Unauthenticated || error.code === Code.NotFound || error.code === Code.InvalidArgument;
      if (!wrong) throw error;
      const refusal = unauthenticated("API_KEY_INVALID", "x-api-key: no such key, or it has ended");
      this.#refused.set(id, { error: refusal, until: now + refusedMs });
      throw refusal;
    }
  }
}

/** How long auth may take to exchange a key, in milliseconds. */
const exchangeMs = 5000;

/** Runs work that others may wait for too: it does not end with the request that happened to ask first. */
function shared<T>(work: () => T, now: number): T {
  const first = currentContext();
  if (first === undefined) return work();
  return runWithContext({ ...detachedContext(first, now + exchangeMs), criticality: first.criticality }, work);
}

/** `work`, until the request that waits for it has ended. */
function whileWanted<T>(work: Promise<T>): Promise<T> {
  const signal = currentContext()?.signal;
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function bearerOf(headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  if (token !== undefined) return token;
  throw unauthenticated("TOKEN_INVALID", "authorization: expected Bearer and a token");
}

function ownKey(entry: string, index: number): [digest: string, principal: Principal] {
  const [first = "", second, ...rest] = entry.split(":");
  const [name, key] = second === undefined ? [`static-${index + 1}`, first] : [first, second];
  const grants = rest
    .join(":")
    .split("|")
    .filter((grant) => grant !== "");
  const principal: Principal = {
    kind: "api-key",
    id: name,
    roles: grants.filter((grant) => !grant.includes(":") && grant !== "*"),
    scopes: grants.filter((grant) => grant.includes(":") || grant === "*"),
    sessionId: "",
    token: "",
    expiresAt: Number.POSITIVE_INFINITY,
    degraded: false,
  };
  return [digest(key), principal];
}

/** Keys are looked up by digest, so that neither the time of a look-up nor the memory tells a key. */
function digest(key: string): string {
  return createHash("sha256").update(key).digest("base64");
}
