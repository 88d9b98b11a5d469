/** SQL of the keys that sign access tokens. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { KeyTimes } from "./key-rotation.ts";

/** A key pair, its private half sealed. */
export interface StoredKey extends KeyTimes {
  /** The public half, base64url. */
  readonly x: string;
  readonly secret: Buffer;
}

/** The channel that tells all instances that the keys have changed. */
export const signingKeyChannel = "auth_signing_keys";

export async function listSigningKeys(q: Queryable): Promise<StoredKey[]> {
  const rows = await q.query<{ kid: string; x: string; secret: Buffer; start_time: Date }>("select * from signing_keys");
  return rows.map((row) => ({ kid: row.kid, x: row.x, secret: row.secret, startTime: row.start_time.getTime() }));
}

/** One instance at a time changes the keys; held to the end of the transaction. */
export async function lockSigningKeys(q: Queryable): Promise<void> {
  await q.query("select pg_advisory_xact_lock(7239402)");
}

export async function insertSigningKey(q: Queryable, key: StoredKey): Promise<void> {
  await q.query("insert into signing_keys (kid, x, secret, start_time) values ($1, $2, $3, $4)", [
    key.kid,
    key.x,
    key.secret,
    new Date(key.startTime),
  ]);
}

export async function deleteSigningKeys(q: Queryable, kids: readonly string[]): Promise<void> {
  await q.query("delete from signing_keys where kid = any ($1)", [kids]);
}

/** Heard when the transaction commits. */
export async function announceSigningKeys(q: Queryable): Promise<void> {
  await q.query("select pg_notify($1, '')", [signingKeyChannel]);
}
