/** The milestones' SQL. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Milestone, MilestoneState } from "./delivery.ts";

/** Stores milestones. */
export async function insertMilestones(tx: Queryable, milestones: readonly Milestone[]): Promise<void> {
  for (const one of milestones) await insert(tx, one, null, null);
}

/** Stores a milestone under a request id; or answers with the one that was stored before. */
export async function addMilestone(
  tx: Queryable,
  milestone: Milestone,
  { requestId, contentHash }: { readonly requestId: string; readonly contentHash: string },
): Promise<{ milestone: Milestone; contentHash: string } | undefined> {
  if (await insert(tx, milestone, requestId, contentHash)) return undefined;
  const rows = await tx.query<Row & { content_hash: string }>(
    `select ${columns}, m.content_hash from ${tables} where m.delivery_id = $1 and m.request_id = $2`,
    [milestone.deliveryId, requestId],
  );
  return rows.map((row) => ({ milestone: toMilestone(row), contentHash: row.content_hash }))[0];
}

/** The milestones of deliveries, by planned day. */
export async function milestonesOf(db: Queryable, deliveryIds: readonly string[]): Promise<Milestone[]> {
  if (deliveryIds.length === 0) return [];
  const rows = await db.query<Row>(
    `select ${columns} from ${tables} where m.delivery_id = any ($1::uuid[]) order by m.planned_date, m.id`,
    [deliveryIds],
  );
  return rows.map(toMilestone);
}

export async function findMilestone(db: Queryable, id: string): Promise<Milestone | undefined> {
  return (await db.query<Row>(`select ${columns} from ${tables} where m.id = $1`, [id])).map(toMilestone)[0];
}

/** Stores what a milestone has become. */
export async function updateMilestone(tx: Queryable, milestone: Milestone): Promise<void> {
  const { id, title, ownerId, forecastDate, actualDate, progress, state, reason, updateTime } = milestone;
  await tx.query(
    `update milestone set title = $2, owner_id = $3, forecast_date = $4, actual_date = $5, progress = $6, state = $7, reason = $8,
       update_time = $9 where id = $1`,
    [id, title, ownerId, forecastDate, actualDate, progress, state, reason, new Date(updateTime)],
  );
}

/** What a page of milestones shows. */
export interface MilestoneQuery {
  readonly ownerId: string;
  readonly state: MilestoneState | undefined;
  /** Only those that end after their planned day, when open ones cannot end before this day. */
  readonly lateOn: string | undefined;
  readonly size: number;
  /** Planned day and id of the last one of the page before. */
  readonly after: readonly [string, string] | undefined;
}

/** The milestones that a user sees to, by planned day, at most `size`. */
export async function listMilestones(
  db: Queryable,
  { ownerId, state, lateOn, size, after }: MilestoneQuery,
): Promise<Milestone[]> {
  const rows = await db.query<Row>(
    `select ${columns} from ${tables} where m.owner_id = $1 and ($2::text is null or m.state = $2)
       and ($3::text is null or (m.state <> 'canceled' and m.planned_date <
         case m.state when 'done' then m.actual_date else greatest(m.forecast_date, $3) end))
       and ($4::text is null or (m.planned_date, m.id) > ($4, $5::uuid)) order by m.planned_date, m.id limit $6`,
    [ownerId, state ?? null, lateOn ?? null, after?.[0] ?? null, after?.[1] ?? null, size],
  );
  return rows.map(toMilestone);
}

async function insert(tx: Queryable, one: Milestone, requestId: string | null, contentHash: string | null): Promise<boolean> {
  const rows = await tx.query(
    `insert into milestone (id, delivery_id, request_id, content_hash, title, owner_id, weight, planned_date, forecast_date, state,
       update_time) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (delivery_id, request_id) do nothing returning 1`,
    [
      ...[one.id, one.deliveryId, requestId, contentHash, one.title, one.ownerId, one.weight, one.plannedDate, one.forecastDate],
      ...[one.state, new Date(one.updateTime)],
    ],
  );
  return rows.length > 0;
}

const columns = `m.id, m.delivery_id, m.title, m.owner_id, m.weight, m.planned_date, m.forecast_date, m.actual_date, m.progress, m.state,
  m.reason, m.update_time, d.start_date`;

const tables = "milestone m join delivery d on d.id = m.delivery_id";

interface Row {
  readonly id: string;
  readonly delivery_id: string;
  readonly title: string;
  readonly owner_id: string;
  readonly weight: number;
  readonly planned_date: string;
  readonly forecast_date: string;
  readonly actual_date: string;
  readonly progress: number;
  readonly state: MilestoneState;
  readonly reason: string;
  readonly update_time: Date;
  readonly start_date: string;
}

function toMilestone(row: Row): Milestone {
  return {
    id: row.id,
    deliveryId: row.delivery_id,
    title: row.title,
    ownerId: row.owner_id,
    weight: row.weight,
    plannedDate: row.planned_date,
    forecastDate: row.forecast_date,
    actualDate: row.actual_date,
    progress: row.progress,
    state: row.state,
    reason: row.reason,
    startDate: row.start_date,
    updateTime: row.update_time.getTime(),
  };
}
