/** SQL of users and of the tokens that confirm their addresses. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { User } from "./user.ts";

/** A user with what a sign-in needs to know. */
export interface Account {
  readonly user: User;
  readonly passwordHash: string;
}

/** A user to be. */
export interface NewUser {
  readonly id: string;
  readonly email: string;
  readonly emailKey: string;
  readonly name: string;
  readonly passwordHash: string;
  readonly requestId: string | undefined;
  readonly now: number;
}

/** Violated when the address is taken. */
export const emailTaken = "users_email_taken";
/** Violated when the request id has been used. */
export const userRequestTaken = "users_request_id_taken";

const selectAccount = `
  select u.*, f.confirm_time is not null as mfa_enabled
  from users u left join second_factors f on f.user_id = u.id`;

export async function insertUser(q: Queryable, user: NewUser): Promise<void> {
  const { id, email, emailKey, name, passwordHash, now, requestId } = user;
  await q.query(
    `insert into users (id, email, email_key, name, password_hash, create_time, update_time, request_id)
     values ($1, $2, $3, $4, $5, $6, $6, $7)`,
    [id, email, emailKey, name, passwordHash, new Date(now), requestId],
  );
}

export async function findAccountById(q: Queryable, id: string): Promise<Account | undefined> {
  return one(await q.query<UserRow>(`${selectAccount} where u.id = $1`, [id]));
}

export async function findAccountByEmail(q: Queryable, emailKey: string): Promise<Account | undefined> {
  return one(await q.query<UserRow>(`${selectAccount} where u.email_key = $1`, [emailKey]));
}

export async function findAccountByRequest(q: Queryable, requestId: string): Promise<Account | undefined> {
  return one(await q.query<UserRow>(`${selectAccount} where u.request_id = $1`, [requestId]));
}

/** Reads the user and keeps others from changing it until the transaction ends. */
export async function lockAccount(q: Queryable, id: string): Promise<Account | undefined> {
  return one(await q.query<UserRow>(`${selectAccount} where u.id = $1 for update of u`, [id]));
}

export async function updateProfile(
  q: Queryable,
  id: string,
  profile: { readonly email: string; readonly emailKey: string; readonly name: string; readonly emailVerified: boolean },
  now: number,
): Promise<void> {
  await q.query("update users set email = $2, email_key = $3, name = $4, email_verified = $5, update_time = $6 where id = $1", [
    id,
    profile.email,
    profile.emailKey,
    profile.name,
    profile.emailVerified,
    new Date(now),
  ]);
}

export async function setPasswordHash(q: Queryable, id: string, hash: string, now: number): Promise<void> {
  await q.query("update users set password_hash = $2, update_time = $3 where id = $1", [id, hash, new Date(now)]);
}

export async function setEmailVerified(q: Queryable, id: string, now: number): Promise<void> {
  await q.query("update users set email_verified = true, update_time = $2 where id = $1", [id, new Date(now)]);
}

/** False when the user had the role already. */
export async function addRole(q: Queryable, id: string, role: string, now: number): Promise<boolean> {
  const rows = await q.query(
    "update users set roles = array_append(roles, $2), update_time = $3 where id = $1 and not $2 = any (roles) returning id",
    [id, role, new Date(now)],
  );
  return rows.length > 0;
}

/** The tokens mailed to earlier addresses stop working. */
export async function replaceEmailToken(
  q: Queryable,
  token: { readonly hash: Buffer; readonly userId: string; readonly emailKey: string; readonly expireTime: number },
): Promise<void> {
  await q.query("delete from email_tokens where user_id = $1", [token.userId]);
  await q.query("insert into email_tokens (hash, user_id, email_key, expire_time) values ($1, $2, $3, $4)", [
    token.hash,
    token.userId,
    token.emailKey,
    new Date(token.expireTime),
  ]);
}

/** Whom a mailed token belongs to, while it counts and the user still has the address. */
export async function findEmailToken(q: Queryable, hash: Buffer, now: number): Promise<string | undefined> {
  const rows = await q.query<{ user_id: string }>(
    `select t.user_id from email_tokens t join users u on u.id = t.user_id and u.email_key = t.email_key
     where t.hash = $1 and t.expire_time > $2 for update of u`,
    [hash, new Date(now)],
  );
  return rows[0]?.user_id;
}

export async function sweepEmailTokens(q: Queryable, now: number): Promise<void> {
  await q.query("delete from email_tokens where expire_time < $1", [new Date(now)]);
}

interface UserRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly password_hash: string;
  readonly roles: string[];
  readonly email_verified: boolean;
  readonly mfa_enabled: boolean;
  readonly create_time: Date;
  readonly update_time: Date;
}

function one(rows: readonly UserRow[]): Account | undefined {
  const [row] = rows;
  if (row === undefined) return undefined;
  const user: User = {
    id: row.id,
    email: row.email,
    name: row.name,
    roles: row.roles,
    emailVerified: row.email_verified,
    mfaEnabled: row.mfa_enabled,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
  };
  return { user, passwordHash: row.password_hash };
}
