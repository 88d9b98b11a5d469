/** The SQL of what the amplifier knows of models, commitments and deliveries. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Facts, Hypothesis, Stage } from "./progress.ts";

/** What is known of a model. */
export interface KnownModel {
  readonly id: string;
  readonly userId: string;
  readonly title: string;
  /** The latest approved version; 0 for none. */
  readonly version: number;
  readonly currency: string;
  readonly investment: number;
  readonly hypotheses: readonly Hypothesis[];
  /** The number of its last change. */
  readonly changes: number;
}

/** Counts and sums of what belongs to a model. */
export interface Totals extends Omit<Facts, "version"> {
  /** In minor units. */
  readonly signedAmount: bigint;
  /** Those that were not cancelled. */
  readonly deliveries: number;
}

/** Makes a model known, and holds it until the transaction ends. */
export async function meetModel(tx: Queryable, id: string, userId: string, title: string): Promise<void> {
  await tx.query(
    `insert into model (id, user_id, title) values ($1, $2, $3)
     on conflict (id) do update set title = case when model.version = 0 and $3 <> '' then $3 else model.title end`,
    [id, userId, title],
  );
}

/** Keeps an approved version, unless a later one is there. */
export async function putApproved(tx: Queryable, model: Omit<KnownModel, "changes" | "userId">): Promise<void> {
  const { id, title, version, currency, investment, hypotheses } = model;
  await tx.query(
    `update model set title = $2, version = $3, currency = $4, investment = $5, hypotheses = $6 where id = $1 and version < $3`,
    [id, title, version, currency, investment, JSON.stringify(hypotheses)],
  );
}

/** Keeps a signed commitment. */
export async function putCommitment(tx: Queryable, id: string, modelId: string, amount: bigint): Promise<void> {
  await tx.query("insert into commitment (id, model_id, amount) values ($1, $2, $3) on conflict (id) do nothing", [
    ...[id, modelId, amount],
  ]);
}

/** Keeps how far a delivery has come; what has ended stays so. */
export async function putDelivery(
  tx: Queryable,
  id: string,
  modelId: string,
  state: "open" | "completed" | "canceled",
): Promise<void> {
  await tx.query(
    `insert into delivery (id, model_id, state) values ($1, $2, $3)
     on conflict (id) do update set state = excluded.state where delivery.state = 'open'`,
    [id, modelId, state],
  );
}

export async function findModel(db: Queryable, id: string): Promise<KnownModel | undefined> {
  const rows = await db.query<Row>(
    "select id, user_id, title, version, currency, investment, hypotheses, changes from model where id = $1",
    [id],
  );
  return rows.map(({ user_id, investment, changes, ...same }) => ({
    ...same,
    userId: user_id,
    investment: Number(investment),
    changes: Number(changes),
  }))[0];
}

/** Counts what belongs to a model. */
export async function totalsOf(db: Queryable, modelId: string): Promise<Totals> {
  const [row] = await db.query<Record<"signed" | "amount" | "deliveries" | "completed" | "realisations" | "amplifying", string>>(
    `select (select count(*) from commitment where model_id = $1) as signed,
       (select coalesce(sum(amount), 0) from commitment where model_id = $1) as amount,
       (select count(*) from delivery where model_id = $1 and state <> 'canceled') as deliveries,
       (select count(*) from delivery where model_id = $1 and state = 'completed') as completed,
       (select count(*) from realisation where model_id = $1) as realisations,
       (select count(*) from strategy where model_id = $1 and state in ('running', 'completed')) as amplifying`,
    [modelId],
  );
  return {
    signedCommitments: Number(row?.signed ?? 0),
    signedAmount: BigInt(row?.amount ?? 0),
    deliveries: Number(row?.deliveries ?? 0),
    completedDeliveries: Number(row?.completed ?? 0),
    realisations: Number(row?.realisations ?? 0),
    amplifying: Number(row?.amplifying ?? 0),
  };
}

/** One thing that happened to a model. */
export interface Change {
  readonly number: number;
  readonly type: string;
  readonly summary: string;
  readonly stage: Stage;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** Adds a change under the next number, and tells those who watch. */
export async function addChange(tx: Queryable, modelId: string, change: Omit<Change, "number">): Promise<void> {
  const { type, summary, stage, time } = change;
  await tx.query(
    `with next as (update model set changes = changes + 1 where id = $1 returning changes)
     insert into change (model_id, number, type, summary, stage, time) select $1, changes, $2, $3, $4, $5 from next`,
    [modelId, type, summary, stage, new Date(time)],
  );
  await tx.query("select pg_notify('value_model_changed', $1)", [modelId]);
}

/** The changes after a number, in order, at most 100. */
export async function changesAfter(db: Queryable, modelId: string, number: number): Promise<Change[]> {
  const rows = await db.query<Omit<Change, "number" | "time"> & { number: string; time: Date }>(
    "select number, type, summary, stage, time from change where model_id = $1 and number > $2 order by number limit 100",
    [modelId, number],
  );
  return rows.map(({ number: at, time, ...same }) => ({ ...same, number: Number(at), time: time.getTime() }));
}

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  readonly version: number;
  readonly currency: string;
  readonly investment: string;
  readonly hypotheses: Hypothesis[];
  readonly changes: string;
}
