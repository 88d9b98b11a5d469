/** The SQL of what the committer knows of models. */
import type { Queryable } from "#mesh/storage/database.ts";

/** A model's latest approved version. */
export interface ApprovedModel {
  readonly id: string;
  readonly version: number;
  readonly userId: string;
  readonly currency: string;
}

/** Keeps an approved version, unless a later one is there. */
export async function putModel(tx: Queryable, { id, version, userId, currency }: ApprovedModel): Promise<void> {
  await tx.query(
    `insert into model (id, version, user_id, currency) values ($1, $2, $3, $4)
     on conflict (id) do update set version = excluded.version, currency = excluded.currency where model.version < excluded.version`,
    [id, version, userId, currency],
  );
}

export async function findModel(db: Queryable, id: string): Promise<ApprovedModel | undefined> {
  const rows = await db.query<{ id: string; version: number; user_id: string; currency: string }>(
    "select id, version, user_id, currency from model where id = $1",
    [id],
  );
  return rows.map(({ user_id, ...same }) => ({ ...same, userId: user_id }))[0];
}
