/** The deliveries' SQL. Times go in and out as milliseconds since the epoch. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Delivery, DeliveryState } from "./delivery.ts";
import { insertMilestones, milestonesOf } from "./milestone-store.ts";

/** Stores a delivery with its milestones. False, and nothing stored, when its commitment has one. */
export async function insertDelivery(tx: Queryable, delivery: Delivery): Promise<boolean> {
  const { id, userId, commitmentId, modelId, title, state, startDate, createTime } = delivery;
  const rows = await tx.query(
    `insert into delivery (id, user_id, commitment_id, model_id, title, state, start_date, create_time, update_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict (commitment_id) do nothing returning 1`,
    [id, userId, commitmentId, modelId, title, state, startDate, new Date(createTime)],
  );
  if (rows.length === 0) return false;
  await insertMilestones(tx, delivery.milestones);
  return true;
}

export async function findDelivery(db: Queryable, id: string): Promise<Delivery | undefined> {
  return (await select(db, "id = $1", [id]))[0];
}

/** A delivery that nobody else changes, nor its milestones, until the transaction ends. */
export async function lockDelivery(tx: Queryable, id: string): Promise<Delivery | undefined> {
  await tx.query("select 1 from delivery where id = $1 for update", [id]);
  return findDelivery(tx, id);
}

/** Stores the state and the reason that a delivery has come to. */
export async function updateDelivery(tx: Queryable, { id, state, reason, updateTime }: Delivery): Promise<void> {
  await tx.query("update delivery set state = $2, reason = $3, update_time = $4 where id = $1", [
    ...[id, state, reason, new Date(updateTime)],
  ]);
}

/** What a page of deliveries shows. */
export interface DeliveryQuery {
  readonly userId: string;
  readonly modelId: string | undefined;
  readonly commitmentId: string | undefined;
  readonly state: DeliveryState | undefined;
  readonly size: number;
  /** The id of the last one of the page before. */
  readonly after: string | undefined;
}

/** Deliveries, latest first, at most `size`. */
export function listDeliveries(db: Queryable, { userId, modelId, commitmentId, state, size, after }: DeliveryQuery) {
  return select(
    db,
    `user_id = $1 and ($2::uuid is null or model_id = $2) and ($3::uuid is null or commitment_id = $3)
       and ($4::text is null or state = $4) and ($5::uuid is null or id < $5) order by id desc limit $6`,
    [userId, modelId ?? null, commitmentId ?? null, state ?? null, after ?? null, size],
  );
}

/** The deliveries of a model that `userId` owns or has a milestone of, all for undefined; oldest first, at most 100. */
export function deliveriesOfModel(db: Queryable, modelId: string, userId: string | undefined): Promise<Delivery[]> {
  return select(
    db,
    `model_id = $1 and ($2::uuid is null or user_id = $2
       or exists (select 1 from milestone where delivery_id = delivery.id and owner_id = $2)) order by id limit 100`,
    [modelId, userId ?? null],
  );
}

async function select(db: Queryable, condition: string, params: readonly unknown[]): Promise<Delivery[]> {
  const rows = await db.query<Row>(
    `select id, user_id, commitment_id, model_id, title, state, reason, start_date, create_time, update_time from delivery
     where ${condition}`,
    params,
  );
  const milestones = await milestonesOf(
    db,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => ({
    id: row.id,
    userId: row.user_id,
    commitmentId: row.commitment_id,
    modelId: row.model_id,
    title: row.title,
    state: row.state,
    reason: row.reason,
    startDate: row.start_date,
    milestones: milestones.filter(({ deliveryId }) => deliveryId === row.id),
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
  }));
}

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly commitment_id: string;
  readonly model_id: string;
  readonly title: string;
  readonly state: DeliveryState;
  readonly reason: string;
  readonly start_date: string;
  readonly create_time: Date;
  readonly update_time: Date;
}
