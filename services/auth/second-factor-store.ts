/** SQL of second factors and recovery codes. */
import type { Queryable } from "#mesh/storage/database.ts";

/** An enrolled second factor; it counts once it is confirmed. */
export interface SecondFactor {
  /** The TOTP secret, sealed. */
  readonly secret: Buffer;
  readonly confirmed: boolean;
  readonly lastStep: number;
}

export async function findSecondFactor(q: Queryable, userId: string): Promise<SecondFactor | undefined> {
  const [row] = await q.query<{ secret: Buffer; confirm_time: Date | null; last_step: string }>(
    "select secret, confirm_time, last_step from second_factors where user_id = $1",
    [userId],
  );
  if (row === undefined) return undefined;
  return { secret: row.secret, confirmed: row.confirm_time !== null, lastStep: Number(row.last_step) };
}

/** Enrols a factor in place of one that was never confirmed; false when one is on. */
export async function enrollSecondFactor(q: Queryable, userId: string, secret: Buffer): Promise<boolean> {
  const rows = await q.query(
    `insert into second_factors (user_id, secret) values ($1, $2)
     on conflict (user_id) do update set secret = excluded.secret, last_step = 0 where second_factors.confirm_time is null
     returning user_id`,
    [userId, secret],
  );
  return rows.length > 0;
}

/** Turns on the factor with this secret; false when it is on already or another was enrolled meanwhile. */
export async function confirmSecondFactor(
  q: Queryable,
  userId: string,
  secret: Buffer,
  step: number,
  now: number,
): Promise<boolean> {
  const rows = await q.query(
    `update second_factors set confirm_time = $4, last_step = $3
     where user_id = $1 and secret = $2 and confirm_time is null returning user_id`,
    [userId, secret, step, new Date(now)],
  );
  return rows.length > 0;
}

export async function insertRecoveryCodes(q: Queryable, userId: string, hashes: readonly Buffer[]): Promise<void> {
  await q.query("insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])", [userId, hashes]);
}

/** Uses a step up; false when it, or a later one, was used before, also by somebody at the same time. */
export async function useStep(q: Queryable, userId: string, step: number): Promise<boolean> {
  const rows = await q.query("update second_factors set last_step = $2 where user_id = $1 and last_step < $2 returning user_id", [
    userId,
    step,
  ]);
  return rows.length > 0;
}

/** Uses a recovery code up; false when there is none such that was not used. */
export async function useRecoveryCode(q: Queryable, userId: string, hash: Buffer, now: number): Promise<boolean> {
  const rows = await q.query(
    "update recovery_codes set use_time = $3 where user_id = $1 and hash = $2 and use_time is null returning user_id",
    [userId, hash, new Date(now)],
  );
  return rows.length > 0;
}

/** Removes the factor with its recovery codes. */
export async function deleteSecondFactor(q: Queryable, userId: string): Promise<void> {
  await q.query("delete from second_factors where user_id = $1", [userId]);
}
