/** SQL of API keys. */
import type { Queryable } from "#mesh/storage/database.ts";

/** An API key without its secret. Times are ms since the epoch. */
export interface ApiKey {
  readonly id: string;
  readonly userId: string;
  readonly prefix: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createTime: number;
  readonly lastUsedTime: number | undefined;
  readonly expireTime: number | undefined;
  readonly revokeTime: number | undefined;
}

/** An API key with the roles of its owner. */
export interface OwnedApiKey extends ApiKey {
  readonly roles: readonly string[];
}

/** Stores a new key; false when its owner used the request id before. */
export async function insertApiKey(
  q: Queryable,
  key: Omit<ApiKey, "lastUsedTime" | "revokeTime"> & { readonly hash: Buffer; readonly requestId: string | undefined },
): Promise<boolean> {
  const rows = await q.query(
    `insert into api_keys (id, user_id, hash, prefix, name, scopes, create_time, expire_time, request_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict on constraint api_keys_request_id_taken do nothing returning id`,
    [
      key.id,
      key.userId,
      key.hash,
      key.prefix,
      key.name,
      key.scopes,
      new Date(key.createTime),
      key.expireTime === undefined ? null : new Date(key.expireTime),
      key.requestId,
    ],
  );
  return rows.length > 0;
}

export async function findApiKeyByRequest(q: Queryable, userId: string, requestId: string): Promise<ApiKey | undefined> {
  const rows = await q.query<ApiKeyRow>("select * from api_keys where user_id = $1 and request_id = $2", [userId, requestId]);
  return rows.map(toApiKey)[0];
}

export async function findApiKeyByHash(q: Queryable, hash: Buffer): Promise<OwnedApiKey | undefined> {
  const rows = await q.query<ApiKeyRow & { roles: string[] }>(
    "select k.*, u.roles from api_keys k join users u on u.id = k.user_id where k.hash = $1",
    [hash],
  );
  return rows.map((row) => ({ ...toApiKey(row), roles: row.roles }))[0];
}

/** All of them, latest first, after the one with the id `after`. */
export async function listApiKeys(q: Queryable, userId: string, after: string | undefined, limit: number): Promise<ApiKey[]> {
  const rows = await q.query<ApiKeyRow>(
    "select * from api_keys where user_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
    [userId, after, limit],
  );
  return rows.map(toApiKey);
}

/** Revokes a key of the user. "none" when there is no such one, "before" when it had been revoked. */
export async function revokeApiKey(
  q: Queryable,
  userId: string,
  id: string,
  now: number,
): Promise<"revoked" | "before" | "none"> {
  const rows = await q.query<{ before: Date | null }>(
    `update api_keys k set revoke_time = coalesce(k.revoke_time, $3)
     from (select id, revoke_time as before from api_keys where id = $2 and user_id = $1 for update) old
     where k.id = old.id returning old.before`,
    [userId, id, new Date(now)],
  );
  if (rows[0] === undefined) return "none";
  return rows[0].before === null ? "revoked" : "before";
}

/** Kept to the minute, so that a busy key does not write all the time. */
export async function touchApiKey(q: Queryable, id: string, now: number): Promise<void> {
  const minute = new Date(now - (now % 60_000));
  await q.query("update api_keys set last_used_time = $2 where id = $1 and (last_used_time is null or last_used_time < $2)", [
    id,
    minute,
  ]);
}

interface ApiKeyRow {
  readonly id: string;
  readonly user_id: string;
  readonly prefix: string;
  readonly name: string;
  readonly scopes: string[];
  readonly create_time: Date;
  readonly last_used_time: Date | null;
  readonly expire_time: Date | null;
  readonly revoke_time: Date | null;
}

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    userId: row.user_id,
    prefix: row.prefix,
    name: row.name,
    scopes: row.scopes,
    createTime: row.create_time.getTime(),
    lastUsedTime: row.last_used_time?.getTime(),
    expireTime: row.expire_time?.getTime(),
    revokeTime: row.revoke_time?.getTime(),
  };
}
