/** The realisations' SQL. */
import type { Queryable } from "#mesh/storage/database.ts";

/** A measurement; the gain in minor units, the day as in 2027-03-31, the time in milliseconds since the epoch. */
export interface Realisation {
  readonly id: string;
  readonly userId: string;
  readonly modelId: string;
  readonly hypothesisId: string;
  readonly actual: number;
  readonly measureDate: string;
  readonly note: string;
  readonly realisedShare: number;
  readonly realisedGain: number;
  readonly createTime: number;
}

/** By whom and how something was asked for. */
export interface Request {
  readonly caller: string;
  readonly requestId: string;
  readonly contentHash: string;
}

/** Stores a realisation. False, and nothing stored, when its request came before. */
export async function insertRealisation(tx: Queryable, one: Realisation, request: Request): Promise<boolean> {
  const rows = await tx.query(
    `insert into realisation (id, caller, request_id, content_hash, user_id, model_id, hypothesis_id, actual, measure_date, note,
       realised_share, realised_gain, create_time) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (caller, request_id) do nothing returning 1`,
    [
      ...[one.id, request.caller, request.requestId, request.contentHash, one.userId, one.modelId, one.hypothesisId, one.actual],
      ...[one.measureDate, one.note, one.realisedShare, one.realisedGain, new Date(one.createTime)],
    ],
  );
  return rows.length > 0;
}

/** The realisation that `caller` recorded under this request id, with the fingerprint of what was asked for. */
export async function realisationOfRequest(
  db: Queryable,
  caller: string,
  requestId: string,
): Promise<{ realisation: Realisation; contentHash: string } | undefined> {
  const rows = await db.query<Row & { content_hash: string }>(
    `select ${columns}, content_hash from realisation where caller = $1 and request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ realisation: toRealisation(row), contentHash: row.content_hash }))[0];
}

export async function findRealisation(db: Queryable, id: string): Promise<Realisation | undefined> {
  return (await db.query<Row>(`select ${columns} from realisation where id = $1`, [id])).map(toRealisation)[0];
}

/** What a page of realisations shows. */
export interface RealisationQuery {
  readonly modelId: string;
  readonly hypothesisId: string | undefined;
  readonly size: number;
  /** Day and id of the last one of the page before. */
  readonly after: readonly [string, string] | undefined;
}

/** The realisations of a model, latest measurement first, at most `size`. */
export async function listRealisations(
  db: Queryable,
  { modelId, hypothesisId, size, after }: RealisationQuery,
): Promise<Realisation[]> {
  const rows = await db.query<Row>(
    `select ${columns} from realisation where model_id = $1 and ($2::uuid is null or hypothesis_id = $2)
       and ($3::text is null or (measure_date, id) < ($3, $4::uuid)) order by measure_date desc, id desc limit $5`,
    [modelId, hypothesisId ?? null, after?.[0] ?? null, after?.[1] ?? null, size],
  );
  return rows.map(toRealisation);
}

/** What was measured last of each hypothesis of a model: by the day, and of one day by the order of recording. */
export async function latestActuals(db: Queryable, modelId: string): Promise<ReadonlyMap<string, number>> {
  const rows = await db.query<{ hypothesis_id: string; actual: number }>(
    `select distinct on (hypothesis_id) hypothesis_id, actual from realisation where model_id = $1
     order by hypothesis_id, measure_date desc, id desc`,
    [modelId],
  );
  return new Map(rows.map(({ hypothesis_id, actual }) => [hypothesis_id, actual]));
}

const columns = "id, user_id, model_id, hypothesis_id, actual, measure_date, note, realised_share, realised_gain, create_time";

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly model_id: string;
  readonly hypothesis_id: string;
  readonly actual: number;
  readonly measure_date: string;
  readonly note: string;
  readonly realised_share: number;
  readonly realised_gain: string;
  readonly create_time: Date;
}

function toRealisation(row: Row): Realisation {
  return {
    id: row.id,
    userId: row.user_id,
    modelId: row.model_id,
    hypothesisId: row.hypothesis_id,
    actual: row.actual,
    measureDate: row.measure_date,
    note: row.note,
    realisedShare: row.realised_share,
    realisedGain: Number(row.realised_gain),
    createTime: row.create_time.getTime(),
  };
}
