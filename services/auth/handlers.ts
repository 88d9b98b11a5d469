/** The contract's messages to the domain and back. The only file that sees both. */
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { AuthService, type UpdateMeRequest } from "#gen/auth/v1/auth_pb.ts";
import { currentContext, type Principal } from "#mesh/context.ts";
import { invalidArgument, unauthenticated } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import type { Accounts } from "./accounts.ts";
import type { ApiKey } from "./api-key-store.ts";
import type { ApiKeys } from "./api-keys.ts";
import type { AuditLog } from "./audit.ts";
import type { Revocations } from "./revocations.ts";
import type { SecondFactors } from "./second-factors.ts";
import type { Sessions } from "./sessions.ts";
import type { Credentials, SignedIn } from "./sign-in.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { grantToken, tokens } from "./token-grant.ts";
import type { User } from "./user.ts";

/** The domain that the handlers speak to. */
export interface HandlerParts {
  readonly db: Database;
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly factors: SecondFactors;
  readonly apiKeys: ApiKeys;
  readonly keys: SigningKeys;
  readonly revocations: Revocations;
  readonly audit: AuditLog;
  readonly signIn: (credentials: Credentials) => Promise<SignedIn>;
  readonly clock: () => number;
}

/** The implementation of auth.v1.AuthService. */
export function authHandlers(parts: HandlerParts): Implementation {
  const { db, accounts, sessions, factors, apiKeys, keys, revocations, audit, signIn, clock } = parts;
  return implement(AuthService, {
    async register({ requestId, email, password, name }) {
      return { user: userMessage(await accounts.register({ requestId: requestId.toLowerCase(), email, password, name })) };
    },
    async login({ email, password, mfaCode }) {
      const signedIn = await signIn({ email, password, mfaCode });
      return { ...tokens(signedIn, clock()), user: userMessage(signedIn.user) };
    },
    token: (request) => grantToken(parts, request),
    async refresh({ refreshToken }) {
      return tokens(await sessions.refresh(refreshToken), clock());
    },
    async logout({ everywhere }) {
      return { sessionsEnded: await sessions.logout(signedIn(), everywhere) };
    },
    async changePassword({ currentPassword, newPassword }) {
      return { sessionsEnded: await accounts.changePassword(signedIn(), currentPassword, newPassword) };
    },
    async getMe() {
      return { user: userMessage(await accounts.get(signedIn().id)) };
    },
    async updateMe(request) {
      return { user: userMessage(await accounts.update(signedIn(), changeOf(request))) };
    },
    async verify() {
      const { id, roles, scopes, expiresAt } = signedIn();
      return { valid: true, userId: id, roles: [...roles], scopes: [...scopes], expireTime: timestampFromMs(expiresAt) };
    },
    async verifyEmail({ token }) {
      return { user: userMessage(await accounts.verifyEmail(token, currentContext()?.principal)) };
    },
    async listSessions({ pageSize, pageToken }) {
      const principal = signedIn();
      const found = await page(pageSize, pageToken, (after, limit) => sessions.list(principal, after, limit));
      const message = ({ createTime, lastUsedTime, expireTime, ...rest }: (typeof found.items)[number]) => ({
        ...rest,
        createTime: timestampFromMs(createTime),
        lastUsedTime: timestampFromMs(lastUsedTime),
        expireTime: timestampFromMs(expireTime),
        current: rest.id === principal.sessionId,
      });
      return { sessions: found.items.map(message), nextPageToken: found.next };
    },
    async revokeSession({ sessionId }) {
      await sessions.revoke(signedIn(), sessionId.toLowerCase());
      return {};
    },
    async enrollMfa({ password }) {
      const { secret, uri } = await factors.enroll(signedIn(), password);
      return { secret, otpauthUri: uri };
    },
    async confirmMfa({ code }) {
      return { recoveryCodes: await factors.confirm(signedIn(), code) };
    },
    async disableMfa({ password, code }) {
      await factors.disable(signedIn(), password, code);
      return {};
    },
    async createApiKey({ requestId, name, scopes, expireTime }) {
      const wanted = { requestId: requestId.toLowerCase(), name, scopes, expireTime: expireTime && timestampMs(expireTime) };
      const { key, secret = "" } = await apiKeys.create(signedIn(), wanted);
      return { apiKey: apiKeyMessage(key), secret };
    },
    async listApiKeys({ pageSize, pageToken }) {
      const principal = signedIn();
      const found = await page(pageSize, pageToken, (after, limit) => apiKeys.list(principal, after, limit));
      return { apiKeys: found.items.map(apiKeyMessage), nextPageToken: found.next };
    },
    async revokeApiKey({ apiKeyId }) {
      await apiKeys.revoke(signedIn(), apiKeyId.toLowerCase());
      return {};
    },
    async listAuditLog({ pageSize, pageToken, userId, action }) {
      const only = { userId: userId || undefined, action: action || undefined };
      const found = await page(pageSize, pageToken, (after, limit) => audit.list(db, { after, limit, ...only }));
      const events = found.items.map(({ createTime, userId: who = "", sessionId = "", ...rest }) => {
        return { ...rest, createTime: timestampFromMs(createTime), userId: who, sessionId };
      });
      return { events, nextPageToken: found.next };
    },
    getJwks() {
      const common = { kty: "OKP", crv: "Ed25519", use: "sig", alg: "EdDSA" };
      return { keys: keys.published().map((key) => ({ ...common, ...key })) };
    },
    async exchangeApiKey({ apiKey }) {
      const { access } = await apiKeys.exchange(apiKey);
      return { accessToken: access.token, expireTime: timestampFromMs(access.expireTime) };
    },
    async recordAuditEvent({ requestId, action, success, reason, userId, sessionId }) {
      const entry = { action, success, reason, userId: userId || undefined, sessionId: sessionId || undefined };
      return { recorded: await audit.recordBounded(db, entry, requestId || undefined) };
    },
    async *watchRevocations(_request, { signal }) {
      for await (const batch of revocations.watch(signal)) {
        const message = batch.map(({ sessionId, forgetTime }) => ({ sessionId, forgetTime: timestampFromMs(forgetTime) }));
        yield { revocations: message };
      }
    },
  });
}

/** Who calls: a person or an API key. A service that calls for itself is nobody's user. */
function signedIn(): Principal {
  const principal = currentContext()?.principal;
  if (principal === undefined) throw unauthenticated("SIGN_IN_REQUIRED", "sign in to call this method");
  return principal;
}

/** What update_mask names, or all that can be changed. */
function changeOf({ user, updateMask }: UpdateMeRequest): { email?: string; name?: string } {
  const { email = "", name = "" } = user ?? {};
  const paths = updateMask?.paths ?? [];
  const unknown = paths.filter((path) => path !== "email" && path !== "name" && path !== "*");
  if (unknown.length > 0) {
    const description = `expected email, name or *, got ${unknown.join(", ")}`;
    throw invalidArgument([{ field: "update_mask", description }]);
  }
  const has = (path: string) => paths.length === 0 || paths.includes("*") || paths.includes(path);
  if (has("email") && email === "") throw invalidArgument([{ field: "user.email", description: "must not be empty" }]);
  return { ...(has("email") ? { email } : {}), ...(has("name") ? { name } : {}) };
}

/** A page of things that sort by their ids, latest first. Reads one more than fits, to know whether there is another page. */
async function page<T extends { readonly id: string }>(
  pageSize: number,
  pageToken: string,
  read: (after: string | undefined, limit: number) => Promise<readonly T[]>,
): Promise<{ items: readonly T[]; next: string }> {
  const position = decodePageToken(pageToken);
  const after = position?.[0];
  const isUuid = after === undefined || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(after);
  if (!isUuid || (position?.length ?? 1) !== 1) throw badPageToken();
  const size = pageSize === 0 ? defaultPageSize : pageSize;
  const rows = await read(after, size + 1);
  const items = rows.slice(0, size);
  const last = items.at(-1);
  return { items, next: rows.length > size && last !== undefined ? encodePageToken([last.id]) : "" };
}

function userMessage({ createTime, updateTime, roles, ...rest }: User) {
  return { ...rest, roles: [...roles], createTime: timestampFromMs(createTime), updateTime: timestampFromMs(updateTime) };
}

function apiKeyMessage({ id, name, prefix, scopes, ...times }: ApiKey) {
  const { createTime, lastUsedTime, expireTime, revokeTime } = times;
  const optional = { ...at("lastUsedTime", lastUsedTime), ...at("expireTime", expireTime), ...at("revokeTime", revokeTime) };
  return { id, name, prefix, scopes: [...scopes], createTime: timestampFromMs(createTime), ...optional };
}

function at<K extends string>(name: K, ms: number | undefined): { [key in K]?: Timestamp } {
  return ms === undefined ? {} : ({ [name]: timestampFromMs(ms) } as { [key in K]: Timestamp });
}
