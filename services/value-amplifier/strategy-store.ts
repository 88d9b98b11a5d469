/** The strategies' SQL. Times go in and out as milliseconds since the epoch. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Request } from "./realisation-store.ts";
import type { Strategy, StrategyState } from "./strategy.ts";

/** Stores a strategy. False, and nothing stored, when its request came before. */
export async function insertStrategy(
  tx: Queryable,
  one: Strategy,
  { caller, requestId, contentHash }: Request,
): Promise<boolean> {
  const rows = await tx.query(
    `insert into strategy (id, caller, request_id, content_hash, user_id, model_id, hypothesis_id, title, description, effect,
       confidence, reach, effort_days, state, create_time, update_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
     on conflict (caller, request_id) do nothing returning 1`,
    [
      ...[one.id, caller, requestId, contentHash, one.userId, one.modelId, one.hypothesisId, one.title, one.description],
      ...[one.effect, one.confidence, one.reach, one.effortDays, one.state, new Date(one.createTime)],
    ],
  );
  return rows.length > 0;
}

/** The strategy that `caller` made under this request id, with the fingerprint of what was asked for. */
export async function strategyOfRequest(
  db: Queryable,
  caller: string,
  requestId: string,
): Promise<{ strategy: Strategy; contentHash: string } | undefined> {
  const rows = await db.query<Row & { content_hash: string }>(
    `select ${columns}, content_hash from strategy where caller = $1 and request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ strategy: toStrategy(row), contentHash: row.content_hash }))[0];
}

export async function findStrategy(db: Queryable, id: string): Promise<Strategy | undefined> {
  return (await db.query<Row>(`select ${columns} from strategy where id = $1`, [id])).map(toStrategy)[0];
}

/** A strategy that nobody else changes until the transaction ends. */
export async function lockStrategy(tx: Queryable, id: string): Promise<Strategy | undefined> {
  return (await tx.query<Row>(`select ${columns} from strategy where id = $1 for update`, [id])).map(toStrategy)[0];
}

/** All strategies of a model: there are at most a few hundred. */
export async function strategiesOf(db: Queryable, modelId: string): Promise<Strategy[]> {
  return (await db.query<Row>(`select ${columns} from strategy where model_id = $1 order by id`, [modelId])).map(toStrategy);
}

/** Stores what a strategy has become. */
export async function updateStrategy(tx: Queryable, one: Strategy): Promise<void> {
  await tx.query(
    `update strategy set title = $2, description = $3, effect = $4, confidence = $5, reach = $6, effort_days = $7, state = $8,
       reason = $9, achieved_effect = $10, update_time = $11 where id = $1`,
    [
      ...[one.id, one.title, one.description, one.effect, one.confidence, one.reach, one.effortDays, one.state, one.reason],
      ...[one.achievedEffect ?? null, new Date(one.updateTime)],
    ],
  );
}

const columns = `id, user_id, model_id, hypothesis_id, title, description, effect, confidence, reach, effort_days, state, reason,
  achieved_effect, create_time, update_time`;

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly model_id: string;
  readonly hypothesis_id: string;
  readonly title: string;
  readonly description: string;
  readonly effect: number;
  readonly confidence: number;
  readonly reach: number;
  readonly effort_days: number;
  readonly state: StrategyState;
  readonly reason: string;
  readonly achieved_effect: number | null;
  readonly create_time: Date;
  readonly update_time: Date;
}

function toStrategy(row: Row): Strategy {
  const { id, title, description, effect, confidence, reach, state, reason } = row;
  return {
    ...{ id, title, description, effect, confidence, reach, state, reason },
    userId: row.user_id,
    modelId: row.model_id,
    hypothesisId: row.hypothesis_id,
    effortDays: row.effort_days,
    achievedEffect: row.achieved_effect ?? undefined,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
  };
}
