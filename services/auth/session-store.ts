/** SQL of sessions, their refresh tokens, and the revocations that end access tokens before their time. */
import type { Queryable } from "#mesh/storage/database.ts";

/** A session as its user sees it. Times are ms since the epoch. */
export interface Session {
  readonly id: string;
  readonly createTime: number;
  readonly lastUsedTime: number;
  readonly expireTime: number;
  readonly ipAddress: string;
  readonly userAgent: string;
}

/** The session that a refresh token belongs to, and how both stand. */
export interface RefreshState {
  readonly sessionId: string;
  readonly userId: string;
  readonly used: boolean;
  readonly ended: boolean;
  readonly expireTime: number;
}

/** A session or API key whose access tokens do not count any more. */
export interface Revocation {
  readonly sessionId: string;
  /** When the last of its tokens ends. */
  readonly forgetTime: number;
}

/** The channel that carries each new revocation to all instances: `<session id> <forget time in ms>`. */
export const revocationChannel = "auth_revocations";

export async function insertSession(q: Queryable, session: Session & { readonly userId: string }): Promise<void> {
  await q.query(
    `insert into sessions (id, user_id, create_time, last_used_time, expire_time, ip_address, user_agent)
     values ($1, $2, $3, $3, $4, $5, $6)`,
    [
      session.id,
      session.userId,
      new Date(session.createTime),
      new Date(session.expireTime),
      session.ipAddress,
      session.userAgent,
    ],
  );
}

export async function insertRefreshToken(q: Queryable, hash: Buffer, sessionId: string): Promise<void> {
  await q.query("insert into refresh_tokens (hash, session_id) values ($1, $2)", [hash, sessionId]);
}

/** Finds a refresh token and keeps its session from being used or ended by others until the transaction ends. */
export async function lockRefreshToken(q: Queryable, hash: Buffer): Promise<RefreshState | undefined> {
  // The session first: two uses of one token must see each other's mark, and a row that was waited for is read anew only itself.
  const [session] = await q.query<SessionRow & { user_id: string; end_time: Date | null }>(
    "select s.* from sessions s where s.id = (select session_id from refresh_tokens where hash = $1) for update",
    [hash],
  );
  const [token] = await q.query<{ use_time: Date | null }>("select use_time from refresh_tokens where hash = $1", [hash]);
  if (session === undefined || token === undefined) return undefined;
  return {
    sessionId: session.id,
    userId: session.user_id,
    used: token.use_time !== null,
    ended: session.end_time !== null,
    expireTime: session.expire_time.getTime(),
  };
}

export async function markRefreshTokenUsed(q: Queryable, hash: Buffer, now: number): Promise<void> {
  await q.query("update refresh_tokens set use_time = $2 where hash = $1", [hash, new Date(now)]);
}

export async function touchSession(q: Queryable, id: string, now: number, expireTime: number): Promise<void> {
  await q.query("update sessions set last_used_time = $2, expire_time = $3 where id = $1", [
    id,
    new Date(now),
    new Date(expireTime),
  ]);
}

/** Ends one session of the user; false when there is no such one that has not ended. */
export async function endSession(q: Queryable, userId: string, id: string, now: number): Promise<boolean> {
  const rows = await q.query(
    "update sessions set end_time = $3 where id = $2 and user_id = $1 and end_time is null returning id",
    [userId, id, new Date(now)],
  );
  return rows.length > 0;
}

/** Ends every session of the user, except `keep` when it is given; answers with the ids of those it ended. */
export async function endSessions(q: Queryable, userId: string, keep: string | undefined, now: number): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    `update sessions set end_time = $3
     where user_id = $1 and end_time is null and expire_time > $3 and ($2::uuid is null or id <> $2) returning id`,
    [userId, keep, new Date(now)],
  );
  return rows.map(({ id }) => id);
}

/** Those that have not ended, latest first, after the one with the id `after`. */
export async function listSessions(
  q: Queryable,
  userId: string,
  after: string | undefined,
  limit: number,
  now: number,
): Promise<Session[]> {
  const rows = await q.query<SessionRow>(
    `select * from sessions where user_id = $1 and end_time is null and expire_time > $2 and ($3::uuid is null or id < $3)
     order by id desc limit $4`,
    [userId, new Date(now), after, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    createTime: row.create_time.getTime(),
    lastUsedTime: row.last_used_time.getTime(),
    expireTime: row.expire_time.getTime(),
    ipAddress: row.ip_address,
    userAgent: row.user_agent,
  }));
}

/** Records them and tells all instances when the transaction commits. */
export async function insertRevocations(q: Queryable, revocations: readonly Revocation[]): Promise<void> {
  if (revocations.length === 0) return;
  await q.query(
    `with added as (
       insert into revocations (session_id, forget_time)
       select id, to_timestamp(ms / 1000.0) from unnest($1::uuid[], $2::float8[]) as t (id, ms)
       on conflict (session_id) do update set forget_time = greatest(excluded.forget_time, revocations.forget_time)
     )
     select pg_notify($3, id || ' ' || ms) from unnest($1::uuid[], $2::float8[]) as t (id, ms)`,
    [revocations.map(({ sessionId }) => sessionId), revocations.map(({ forgetTime }) => forgetTime), revocationChannel],
  );
}

export async function listRevocations(q: Queryable, now: number): Promise<Revocation[]> {
  const rows = await q.query<{ session_id: string; forget_time: Date }>("select * from revocations where forget_time > $1", [
    new Date(now),
  ]);
  return rows.map((row) => ({ sessionId: row.session_id, forgetTime: row.forget_time.getTime() }));
}

/** Sessions that ended `keepMs` ago or more, with their refresh tokens, and revocations that no token needs. */
export async function sweepSessions(q: Queryable, now: number, keepMs: number): Promise<void> {
  await q.query("delete from revocations where forget_time < $1", [new Date(now)]);
  await q.query("delete from sessions where least(expire_time, coalesce(end_time, expire_time)) < $1", [new Date(now - keepMs)]);
}

interface SessionRow {
  readonly id: string;
  readonly create_time: Date;
  readonly last_used_time: Date;
  readonly expire_time: Date;
  readonly ip_address: string;
  readonly user_agent: string;
}
