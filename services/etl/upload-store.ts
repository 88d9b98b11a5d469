/** The SQL of uploads. Times go in and out as milliseconds since the epoch. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { FileFormat } from "./job.ts";
import { timeAndId } from "./job-store.ts";

/** A file that was uploaded, or is being. */
export interface Upload {
  readonly id: string;
  readonly userId: string;
  readonly fileName: string;
  readonly format: FileFormat;
  readonly folder: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly complete: boolean;
  readonly createTime: number;
  readonly expireTime: number;
}

/** An upload that begins. */
export interface NewUpload extends Pick<Upload, "id" | "userId" | "fileName" | "format" | "folder" | "createTime" | "expireTime"> {
  readonly caller: string;
  readonly requestId: string | undefined;
  readonly leaseId: string;
  readonly leaseUntil: number;
}

/** Stores an upload that begins. False, and nothing stored, when the request id is taken. */
export async function insertUpload(q: Queryable, upload: NewUpload): Promise<boolean> {
  const rows = await q.query(
    `INSERT INTO upload (id, caller, request_id, user_id, file_name, format, folder, create_time, expire_time, lease_id, lease_until)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (caller, request_id) DO NOTHING RETURNING 1`,
    [
      ...[upload.id, upload.caller, upload.requestId ?? null, upload.userId, upload.fileName, upload.format, upload.folder],
      ...[new Date(upload.createTime), new Date(upload.expireTime), upload.leaseId, new Date(upload.leaseUntil)],
    ],
  );
  return rows.length > 0;
}

/** The upload that `caller` made under this request id. */
export async function findUpload(q: Queryable, caller: string, requestId: string): Promise<Upload | undefined> {
  const sql = `SELECT ${columns} FROM upload WHERE caller = $1 AND request_id = $2`;
  return (await q.query<UploadRow>(sql, [caller, requestId])).map(toUpload)[0];
}

/** One upload, whoever owns it; undefined when there is none. */
export async function getUpload(q: Queryable, id: string): Promise<Upload | undefined> {
  return (await q.query<UploadRow>(`SELECT ${columns} FROM upload WHERE id = $1`, [id])).map(toUpload)[0];
}

/** One upload that nobody deletes before the end of the transaction. */
export async function holdUpload(tx: Queryable, id: string): Promise<Upload | undefined> {
  return (await tx.query<UploadRow>(`SELECT ${columns} FROM upload WHERE id = $1 FOR SHARE`, [id])).map(toUpload)[0];
}

/** A page of a user's uploads, latest first, and one more when there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listUploads(
  q: Queryable,
  userId: string,
  size: number,
  after: readonly string[] | undefined,
): Promise<Upload[]> {
  const [time, id] = timeAndId(after);
  const rows = await q.query<UploadRow>(
    `SELECT ${columns} FROM upload
     WHERE user_id = $1 AND ($2::bigint IS NULL OR (create_time, id) < (to_timestamp($2::bigint / 1000.0), $3::uuid))
     ORDER BY create_time DESC, id DESC LIMIT $4 + 1`,
    [userId, time, id, size],
  );
  return rows.map(toUpload);
}

/** How many uploads a user has. */
export async function countUploads(q: Queryable, userId: string): Promise<number> {
  const sql = "SELECT count(*)::integer AS n FROM upload WHERE user_id = $1";
  return (await q.query<{ n: number }>(sql, [userId]))[0]?.n ?? 0;
}

/** Says how large an upload is by now, and keeps the claim on it. False when the claim is lost. */
export async function grow(q: Queryable, id: string, leaseId: string, sizeBytes: number, leaseUntil: number): Promise<boolean> {
  const rows = await q.query("UPDATE upload SET size_bytes = $3, lease_until = $4 WHERE id = $1 AND lease_id = $2 RETURNING 1", [
    id,
    leaseId,
    sizeBytes,
    new Date(leaseUntil),
  ]);
  return rows.length > 0;
}

/** Bytes that are kept: of one user, and of all in a folder. */
export async function keptBytes(q: Queryable, userId: string, folder: string): Promise<{ user: number; folder: number }> {
  const rows = await q.query<{ mine: string; all: string }>(
    `SELECT coalesce(sum(bytes) FILTER (WHERE user_id = $1), 0) AS mine, coalesce(sum(bytes) FILTER (WHERE folder = $2), 0) AS all
     FROM (SELECT user_id, folder, size_bytes AS bytes FROM upload
           UNION ALL SELECT user_id, folder, output_bytes FROM job WHERE output_bytes > 0) kept`,
    [userId, folder],
  );
  return { user: Number(rows[0]?.mine ?? 0), folder: Number(rows[0]?.all ?? 0) };
}

/** All bytes are there. False when the claim is lost. */
export async function complete(q: Queryable, id: string, leaseId: string, sizeBytes: number, sha256: string): Promise<boolean> {
  const rows = await q.query(
    `UPDATE upload SET complete = true, size_bytes = $3, sha256 = $4, lease_id = NULL, lease_until = NULL
     WHERE id = $1 AND lease_id = $2 RETURNING 1`,
    [id, leaseId, sizeBytes, sha256],
  );
  return rows.length > 0;
}

/** Forgets an upload that broke off. */
export async function dropBroken(q: Queryable, id: string, leaseId: string): Promise<void> {
  await q.query("DELETE FROM upload WHERE id = $1 AND lease_id = $2", [id, leaseId]);
}

/** Forgets an upload that no job needs any more. False when one does. Jobs that have ended lose their reference. */
export async function dropUpload(tx: Queryable, id: string): Promise<boolean> {
  await tx.query("SELECT 1 FROM upload WHERE id = $1 FOR UPDATE", [id]);
  const needed = await tx.query("SELECT 1 FROM job WHERE upload_id = $1 AND status IN ('queued', 'running') LIMIT 1", [id]);
  if (needed.length > 0) return false;
  await tx.query("UPDATE job SET upload_id = NULL WHERE upload_id = $1", [id]);
  await tx.query("DELETE FROM upload WHERE id = $1", [id]);
  return true;
}

/** Uploads of a folder whose time is up, or whose process died while it received them. */
export async function expiredUploads(q: Queryable, folder: string, now: number, limit: number): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    "SELECT id FROM upload WHERE folder = $1 AND (expire_time <= $2 OR lease_until <= $2) ORDER BY expire_time LIMIT $3",
    [folder, new Date(now), limit],
  );
  return rows.map(({ id }) => id);
}

/** Those of `ids` that are on record. */
export async function knownUploads(q: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await q.query<{ id: string }>("SELECT id::text AS id FROM upload WHERE id::text = ANY ($1)", [ids]);
  return new Set(rows.map(({ id }) => id));
}

const columns = "id, user_id, file_name, format, folder, size_bytes, sha256, complete, create_time, expire_time";

interface UploadRow {
  readonly id: string;
  readonly user_id: string;
  readonly file_name: string;
  readonly format: FileFormat;
  readonly folder: string;
  readonly size_bytes: string;
  readonly sha256: string;
  readonly complete: boolean;
  readonly create_time: Date;
  readonly expire_time: Date;
}

function toUpload(row: UploadRow): Upload {
  return {
    id: row.id,
    userId: row.user_id,
    fileName: row.file_name,
    format: row.format,
    folder: row.folder,
    sizeBytes: Number(row.size_bytes),
    sha256: row.sha256,
    complete: row.complete,
    createTime: row.create_time.getTime(),
    expireTime: row.expire_time.getTime(),
  };
}
