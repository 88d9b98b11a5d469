/** The commitments' SQL. Times go in and out as milliseconds since the epoch. */
import type { Queryable } from "#mesh/storage/database.ts";
import { type Commitment, type CommitmentState, openApprovals } from "./commitment.ts";

/** By whom and how a commitment was asked for. */
export interface Request {
  readonly caller: string;
  readonly requestId: string;
  readonly contentHash: string;
}

/** Stores a commitment. False, and nothing stored, when its request came before. */
export async function insertCommitment(tx: Queryable, commitment: Commitment, request: Request): Promise<boolean> {
  const { caller, requestId, contentHash } = request;
  const { id, userId, modelId, modelVersion } = commitment;
  const rows = await tx.query(
    `insert into commitment (id, caller, request_id, content_hash, user_id, model_id, model_version, state, open_user_ids, open_roles,
       content, create_time, update_time) values ($1, $2, $3, $4, $5, $6, $7, 'draft', '{}', '{}', $8, $9, $9)
     on conflict (caller, request_id) do nothing returning 1`,
    [id, caller, requestId, contentHash, userId, modelId, modelVersion, contentOf(commitment), new Date(commitment.createTime)],
  );
  return rows.length > 0;
}

/** The commitment that `caller` made under this request id, with the fingerprint of what was asked for. */
export async function findByRequest(
  db: Queryable,
  caller: string,
  requestId: string,
): Promise<{ commitment: Commitment; contentHash: string } | undefined> {
  const rows = await db.query<Row & { content_hash: string }>(
    `select ${columns}, content_hash from commitment where caller = $1 and request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ commitment: toCommitment(row), contentHash: row.content_hash }))[0];
}

export async function findCommitment(db: Queryable, id: string): Promise<Commitment | undefined> {
  return (await db.query<Row>(`select ${columns} from commitment where id = $1`, [id])).map(toCommitment)[0];
}

/** A commitment that nobody else changes until the transaction ends. */
export async function lockCommitment(tx: Queryable, id: string): Promise<Commitment | undefined> {
  return (await tx.query<Row>(`select ${columns} from commitment where id = $1 for update`, [id])).map(toCommitment)[0];
}

/** Stores what a commitment has become. */
export async function updateCommitment(tx: Queryable, commitment: Commitment): Promise<void> {
  const open = openApprovals(commitment);
  await tx.query(
    `update commitment set state = $2, open_user_ids = $3, open_roles = $4, content = $5, update_time = $6, sign_time = $7
     where id = $1`,
    [
      ...[commitment.id, commitment.state],
      open.flatMap((one) => ("userId" in one ? one.userId : [])),
      open.flatMap((one) => ("role" in one ? one.role : [])),
      ...[contentOf(commitment), new Date(commitment.updateTime)],
      commitment.signTime === undefined ? null : new Date(commitment.signTime),
    ],
  );
}

/** What a page of commitments shows. */
export interface CommitmentQuery {
  readonly userId: string;
  /** Those that wait for the user's approval, by name or by one of these roles, instead of the user's own. */
  readonly toApprove: { readonly roles: readonly string[] } | undefined;
  readonly modelId: string | undefined;
  readonly state: CommitmentState | undefined;
  readonly size: number;
  /** The id of the last one of the page before. */
  readonly after: string | undefined;
}

/** Commitments, latest first, at most `size`. */
export async function listCommitments(db: Queryable, query: CommitmentQuery): Promise<Commitment[]> {
  const { userId, toApprove, modelId, state, size, after } = query;
  const whose =
    toApprove === undefined
      ? "user_id = $1 and $6::text[] is null"
      : `state = 'proposed' and (open_user_ids @> array[$1::uuid] or (open_roles && $6::text[] and user_id <> $1))
         and not content->'approvals' @> jsonb_build_array(jsonb_build_object('userId', $1::text))`;
  const rows = await db.query<Row>(
    `select ${columns} from commitment where ${whose} and ($2::uuid is null or model_id = $2) and ($3::text is null or state = $3)
       and ($4::uuid is null or id < $4) order by id desc limit $5`,
    [userId, modelId ?? null, state ?? null, after ?? null, size, toApprove?.roles ?? null],
  );
  return rows.map(toCommitment);
}

const columns = "id, user_id, model_id, model_version, state, content, create_time, update_time, sign_time";

/** What stands in columns of its own. */
type Columns = "id" | "userId" | "modelId" | "modelVersion" | "state" | "createTime" | "updateTime" | "signTime";

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly model_id: string;
  readonly model_version: number;
  readonly state: CommitmentState;
  readonly content: Omit<Commitment, Columns>;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly sign_time: Date | null;
}

function contentOf(commitment: Commitment): string {
  const { id: _, userId: _1, modelId: _2, modelVersion: _3, state: _4, ...rest } = commitment;
  const { createTime: _5, updateTime: _6, signTime: _7, ...content } = rest;
  return JSON.stringify(content satisfies Omit<Commitment, Columns>);
}

function toCommitment(row: Row): Commitment {
  return {
    ...row.content,
    id: row.id,
    userId: row.user_id,
    modelId: row.model_id,
    modelVersion: row.model_version,
    state: row.state,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
    signTime: row.sign_time?.getTime(),
  };
}
