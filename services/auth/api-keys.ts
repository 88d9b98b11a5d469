/** API keys: for programs, which exchange them for short-lived access tokens. */
import type { Principal } from "#mesh/context.ts";
import { alreadyExists, invalidArgument, notFound, unauthenticated } from "#mesh/errors.ts";
import { scopeGrants } from "#mesh/identity/access.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { type AccessToken, apiKeyTokenMs } from "./access-token.ts";
import {
  type ApiKey,
  findApiKeyByHash,
  findApiKeyByRequest,
  insertApiKey,
  listApiKeys,
  type OwnedApiKey,
  revokeApiKey,
  touchApiKey,
} from "./api-key-store.ts";
import type { AuditLog } from "./audit.ts";
import { hashToken, newOpaqueToken, shownPrefix } from "./opaque-token.ts";
import type { Revocations } from "./revocations.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** What API keys work with. */
export interface ApiKeysOptions {
  readonly db: Database;
  readonly keys: SigningKeys;
  readonly revocations: Revocations;
  readonly audit: AuditLog;
  readonly clock: () => number;
}

/** A key to be. */
export interface NewApiKey {
  /** Empty: the call is not repeated. */
  readonly requestId: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expireTime: number | undefined;
}

/** A token in a key's name. */
export interface ApiKeyToken {
  readonly access: AccessToken;
  readonly scopes: readonly string[];
}

/** The API keys of all users. */
export class ApiKeys {
  readonly #o: ApiKeysOptions;

  constructor(options: ApiKeysOptions) {
    this.#o = options;
  }

  /** Makes a key. The secret is undefined when the same request made the key before. @throws ALREADY_EXISTS naming request_id. */
  async create(principal: Principal, wanted: NewApiKey): Promise<{ readonly key: ApiKey; readonly secret: string | undefined }> {
    const { db, audit, clock } = this.#o;
    const now = clock();
    const secret = newOpaqueToken("api-key");
    const { name, scopes, expireTime } = wanted;
    const requestId = wanted.requestId || undefined;
    const core = {
      id: uuidv7(now),
      userId: principal.id,
      prefix: shownPrefix(secret),
      name,
      scopes,
      createTime: now,
      expireTime,
    };
    const fresh = await db.transaction(async (tx) => {
      if (!(await insertApiKey(tx, { ...core, hash: hashToken(secret), requestId }))) return false;
      const { id: userId, sessionId } = principal;
      await audit.record(tx, { action: "api_key.created", success: true, userId, sessionId, reason: `key ${core.id}` });
      return true;
    });
    if (fresh) return { key: { ...core, lastUsedTime: undefined, revokeTime: undefined }, secret };
    const before = await findApiKeyByRequest(db, principal.id, requestId ?? "");
    if (before === undefined || !isSame(before, wanted)) throw alreadyExists("request_id was used before with other contents");
    return { key: before, secret: undefined };
  }

  /** All of the user's keys, latest first. */
  list(principal: Principal, after: string | undefined, limit: number): Promise<ApiKey[]> {
    return listApiKeys(this.#o.db, principal.id, after, limit);
  }

  /** Ends a key of the user and the tokens made from it. @throws NOT_FOUND when there is none such, or it is another user's. */
  async revoke(principal: Principal, id: string): Promise<void> {
    const { db, revocations, audit, clock } = this.#o;
    const { id: userId, sessionId } = principal;
    const ended = await db.transaction(async (tx) => {
      const outcome = await revokeApiKey(tx, userId, id, clock());
      if (outcome === "before") return [];
      const found = outcome === "revoked";
      const reason = found ? `key ${id}` : `no key ${id} of this user`;
      await audit.record(tx, { action: "api_key.revoked", success: found, userId, sessionId, reason });
      return found ? revocations.revoke(tx, [id]) : undefined;
    });
    if (ended === undefined) throw notFound("API key", id);
    await revocations.publish(ended);
  }

  /**
   * A token of at most five minutes in the key's name, with the roles that its owner has now.
   *
   * @param expected Also the key's id, where the caller names it, and the scopes to narrow the token to.
   * @throws UNAUTHENTICATED with reason API_KEY_INVALID; INVALID_ARGUMENT naming scope when the key does not grant it.
   */
  async exchange(
    secret: string,
    expected: { readonly id?: string; readonly scopes?: readonly string[] } = {},
  ): Promise<ApiKeyToken> {
    const { db, keys, clock } = this.#o;
    const key = await db.transaction((tx) => this.#use(tx, secret, expected.id));
    if (key === undefined) throw unauthenticated("API_KEY_INVALID", "the API key is unknown, has ended or was revoked");
    const scopes = narrow(key.scopes, expected.scopes ?? []);
    const subject = { userId: key.userId, sessionId: key.id, kind: "api-key", roles: key.roles, scopes } as const;
    const access = await keys.sign(subject, apiKeyTokenMs, key.expireTime);
    if (access.expireTime <= clock()) throw unauthenticated("API_KEY_INVALID", "the API key has ended");
    return { access, scopes };
  }

  async #use(tx: Queryable, secret: string, expectedId: string | undefined): Promise<OwnedApiKey | undefined> {
    const { audit, clock } = this.#o;
    const key = await findApiKeyByHash(tx, hashToken(secret));
    const problem = problemOf(key, expectedId, clock());
    if (key === undefined || problem !== undefined) {
      const who = key === undefined ? {} : { userId: key.userId, sessionId: key.id };
      await audit.recordBounded(tx, { action: "api_key.refused", success: false, reason: problem ?? "", ...who });
      return undefined;
    }
    await touchApiKey(tx, key.id, clock());
    await audit.record(tx, { action: "api_key.exchanged", success: true, userId: key.userId, sessionId: key.id });
    return key;
  }
}

function problemOf(key: ApiKey | undefined, expectedId: string | undefined, now: number): string | undefined {
  if (key === undefined) return "unknown key";
  if (expectedId !== undefined && expectedId.toLowerCase() !== key.id) return "client_id is not the key's id";
  if (key.revokeTime !== undefined) return "revoked";
  return key.expireTime !== undefined && key.expireTime <= now ? "expired" : undefined;
}

/** No wish: all that the key has. A key without scopes has all. */
function narrow(held: readonly string[], wanted: readonly string[]): readonly string[] {
  if (wanted.length === 0) return held;
  const missing = wanted.filter((one) => held.length > 0 && !held.some((scope) => scopeGrants(scope, one)));
  if (missing.length === 0) return wanted;
  throw invalidArgument([{ field: "scope", description: `the API key does not grant ${missing.join(" ")}` }]);
}

function isSame(key: ApiKey, wanted: NewApiKey): boolean {
  const scopes = key.scopes.length === wanted.scopes.length && key.scopes.every((scope) => wanted.scopes.includes(scope));
  return scopes && key.name === wanted.name && key.expireTime === wanted.expireTime;
}
