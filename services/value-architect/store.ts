/** The models' SQL. Times go in and out as milliseconds since the epoch. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Model, ModelState } from "./model.ts";

/** By whom and how a model was asked for. */
export interface Request {
  readonly caller: string;
  readonly requestId: string;
  readonly contentHash: string;
}

/** Stores a model with its first version. False, and nothing stored, when its request came before. */
export async function insertModel(tx: Queryable, model: Model, { caller, requestId, contentHash }: Request): Promise<boolean> {
  const rows = await tx.query(
    `insert into model (id, user_id, caller, request_id, content_hash, latest_version, create_time)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (caller, request_id) do nothing returning 1`,
    [model.id, model.userId, caller, requestId, contentHash, model.version, new Date(model.createTime)],
  );
  if (rows.length === 0) return false;
  await putVersion(tx, model);
  return true;
}

/** The model that `caller` made under this request id, in its latest version, with the fingerprint of what was asked for. */
export async function findByRequest(
  db: Queryable,
  caller: string,
  requestId: string,
): Promise<{ model: Model; contentHash: string } | undefined> {
  const rows = await db.query<Row & { content_hash: string }>(
    `select ${columns}, m.content_hash from ${latest} where m.caller = $1 and m.request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ model: toModel(row), contentHash: row.content_hash }))[0];
}

/** A version of a model; the latest for 0. */
export async function findModel(db: Queryable, id: string, version = 0): Promise<Model | undefined> {
  const rows = await db.query<Row>(
    `select ${columns} from version v join model m on m.id = v.model_id
     where v.model_id = $1 and v.version = case $2::integer when 0 then m.latest_version else $2 end`,
    [id, version],
  );
  return rows.map(toModel)[0];
}

/** The latest version of a model, which nobody else changes until the transaction ends. */
export async function lockModel(tx: Queryable, id: string): Promise<Model | undefined> {
  await tx.query("select 1 from model where id = $1 for update", [id]);
  return findModel(tx, id);
}

/** The version that stands. */
export async function findApproved(db: Queryable, id: string): Promise<Model | undefined> {
  const rows = await db.query<Row>(
    `select ${columns} from version v join model m on m.id = v.model_id where v.model_id = $1 and v.state = 'approved'`,
    [id],
  );
  return rows.map(toModel)[0];
}

/** Stores a version, or what it has become. */
export async function putVersion(tx: Queryable, model: Model): Promise<void> {
  const { title, description, currency, investment, returnReason, hypotheses } = model;
  await tx.query(
    `insert into version (model_id, version, state, reviewer_ids, approved_by_ids, content, create_time, update_time, approve_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (model_id, version) do update set state = excluded.state, reviewer_ids = excluded.reviewer_ids,
       approved_by_ids = excluded.approved_by_ids, content = excluded.content, update_time = excluded.update_time,
       approve_time = excluded.approve_time`,
    [
      ...[model.id, model.version, model.state, model.reviewerIds, model.approvedByIds],
      JSON.stringify({ title, description, currency, investment, returnReason, hypotheses }),
      ...[new Date(model.createTime), new Date(model.updateTime)],
      model.approveTime === undefined ? null : new Date(model.approveTime),
    ],
  );
  await tx.query("update model set latest_version = $2 where id = $1 and latest_version < $2", [model.id, model.version]);
}

/** What a page of models shows. */
export interface ModelQuery {
  readonly userId: string;
  /** Those in review that wait for the user's approval, instead of the user's own. */
  readonly toReview: boolean;
  readonly state: ModelState | undefined;
  readonly size: number;
  /** The id of the last one of the page before. */
  readonly after: string | undefined;
}

/** The latest versions of models, latest first, at most `size`. */
export async function listModels(db: Queryable, { userId, toReview, state, size, after }: ModelQuery): Promise<Model[]> {
  const whose = toReview
    ? `v.state = 'in_review' and not $1::uuid = any (v.approved_by_ids)
       and (v.reviewer_ids @> array[$1::uuid] or (v.reviewer_ids = '{}' and m.user_id = $1))`
    : "m.user_id = $1";
  const rows = await db.query<Row>(
    `select ${columns} from ${latest} where ${whose} and ($2::text is null or v.state = $2) and ($3::uuid is null or m.id < $3)
     order by m.id desc limit $4`,
    [userId, state ?? null, after ?? null, size],
  );
  return rows.map(toModel);
}

/** The versions of a model before `before`, latest first, at most `size`. */
export async function listVersions(db: Queryable, id: string, before: number, size: number): Promise<Model[]> {
  const rows = await db.query<Row>(
    `select ${columns} from version v join model m on m.id = v.model_id
     where v.model_id = $1 and v.version < $2 order by v.version desc limit $3`,
    [id, before, size],
  );
  return rows.map(toModel);
}

/** Notes that a hypothesis was added under a request id; or answers with the one that was before. */
export async function noteAddition(
  tx: Queryable,
  modelId: string,
  { requestId, contentHash, hypothesisId }: { requestId: string; contentHash: string; hypothesisId: string },
): Promise<{ hypothesisId: string; contentHash: string } | undefined> {
  const fresh = await tx.query(
    `insert into addition (model_id, request_id, content_hash, hypothesis_id) values ($1, $2, $3, $4)
     on conflict (model_id, request_id) do nothing returning 1`,
    [modelId, requestId, contentHash, hypothesisId],
  );
  if (fresh.length > 0) return undefined;
  const rows = await tx.query<{ hypothesis_id: string; content_hash: string }>(
    "select hypothesis_id, content_hash from addition where model_id = $1 and request_id = $2",
    [modelId, requestId],
  );
  return rows.map((row) => ({ hypothesisId: row.hypothesis_id, contentHash: row.content_hash }))[0];
}

const columns = `m.id, m.user_id, v.version, v.state, v.reviewer_ids, v.approved_by_ids, v.content, v.create_time, v.update_time,
  v.approve_time`;

const latest = "model m join version v on v.model_id = m.id and v.version = m.latest_version";

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly version: number;
  readonly state: ModelState;
  readonly reviewer_ids: string[];
  readonly approved_by_ids: string[];
  readonly content: Pick<Model, "title" | "description" | "currency" | "investment" | "returnReason" | "hypotheses">;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly approve_time: Date | null;
}

function toModel(row: Row): Model {
  return {
    ...row.content,
    id: row.id,
    userId: row.user_id,
    version: row.version,
    state: row.state,
    reviewerIds: row.reviewer_ids,
    approvedByIds: row.approved_by_ids,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
    approveTime: row.approve_time?.getTime(),
  };
}
