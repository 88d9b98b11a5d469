/** The SQL of what is left of jobs that have ended. */
import type { Queryable } from "#mesh/storage/database.ts";

/** Forgets the rejects and outputs of jobs whose time is up, as far as their files are in `folder`; answers which jobs those are. */
export async function expireJobs(q: Queryable, folder: string, now: number, limit: number): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    `WITH due AS (
       SELECT id FROM job WHERE expire_time <= $2 AND (folder IS NULL OR folder = $1) AND NOT staging
         AND (output_bytes > 0 OR EXISTS (SELECT FROM reject WHERE job_id = job.id))
       ORDER BY expire_time LIMIT $3 FOR UPDATE SKIP LOCKED
     ), rejects AS (DELETE FROM reject WHERE job_id IN (SELECT id FROM due))
     UPDATE job SET output_bytes = 0, revision = revision + 1 WHERE id IN (SELECT id FROM due) RETURNING id`,
    [folder, new Date(now), limit],
  );
  return rows.map(({ id }) => id);
}

/** Those of `ids` whose output is on record, or may come to be. */
export async function knownOutputs(q: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await q.query<{ id: string }>(
    "SELECT id::text AS id FROM job WHERE id::text = ANY ($1) AND (output_bytes > 0 OR status = 'running')",
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}
