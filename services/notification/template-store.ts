/** The SQL of templates. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Template, TemplateText } from "./notification.ts";

/** The templates with these names. */
export async function findTemplates(q: Queryable, names: readonly string[]): Promise<Template[]> {
  if (names.length === 0) return [];
  const rows = await q.query<TemplateRow>(`SELECT ${templateColumns} FROM template t WHERE name = ANY ($1::text[])`, [names]);
  return rows.map(toTemplate);
}

/** At most `size` templates by name, beginning behind `after`. */
export async function listTemplates(q: Queryable, size: number, after: string | undefined): Promise<Template[]> {
  const rows = await q.query<TemplateRow>(
    `SELECT ${templateColumns} FROM template t WHERE $2::text IS NULL OR name > $2 ORDER BY name LIMIT $1`,
    [size, after ?? null],
  );
  return rows.map(toTemplate);
}

/** What identifies the request that makes a template. */
export interface TemplateRequest {
  readonly caller: string;
  readonly requestId: string | undefined;
  readonly contentHash: string;
}

/** Stores a template. False when the name or the request id is taken. */
export async function insertTemplate(
  q: Queryable,
  name: string,
  text: TemplateText,
  by: TemplateRequest,
  now: number,
): Promise<boolean> {
  const rows = await q.query(
    `INSERT INTO template (name, subject, body, secret_values, create_time, update_time, caller, request_id, content_hash)
     VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING 1`,
    [name, text.subject, text.body, text.secretValues, new Date(now), by.caller, by.requestId ?? null, by.contentHash],
  );
  return rows.length > 0;
}

/** The template that a request made, as it now is, with the request's fingerprint. */
export async function templateOfRequest(q: Queryable, caller: string, requestId: string) {
  const rows = await q.query<TemplateRow & { content_hash: string }>(
    `SELECT ${templateColumns}, content_hash FROM template t WHERE caller = $1 AND request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ template: toTemplate(row), contentHash: row.content_hash }))[0];
}

/** Changes the given parts of a template; undefined when there is none of that name. */
export async function updateTemplate(q: Queryable, name: string, change: Partial<TemplateText>, now: number) {
  const rows = await q.query<TemplateRow>(
    `UPDATE template t SET subject = coalesce($2, subject), body = coalesce($3, body),
       secret_values = coalesce($4::text[], secret_values), update_time = greatest($5, create_time)
     WHERE name = $1 RETURNING ${templateColumns}`,
    [name, change.subject ?? null, change.body ?? null, change.secretValues ?? null, new Date(now)],
  );
  return rows.map(toTemplate)[0];
}

/** Puts a built-in template back to its first text, removes any other. False when there is none of that name. */
export async function resetTemplate(q: Queryable, name: string, now: number): Promise<boolean> {
  const restored = await q.query(
    `UPDATE template t SET subject = b.subject, body = b.body, secret_values = b.secret_values, update_time = greatest($2, t.create_time)
     FROM built_in_template b WHERE t.name = $1 AND b.name = $1 RETURNING 1`,
    [name, new Date(now)],
  );
  return restored.length > 0 || (await q.query("DELETE FROM template WHERE name = $1 RETURNING 1", [name])).length > 0;
}

const templateColumns = `t.name, t.subject, t.body, t.secret_values, t.create_time, t.update_time,
  EXISTS (SELECT FROM built_in_template WHERE name = t.name) AS built_in`;

interface TemplateRow {
  readonly name: string;
  readonly subject: string;
  readonly body: string;
  readonly secret_values: string[];
  readonly built_in: boolean;
  readonly create_time: Date;
  readonly update_time: Date;
}

function toTemplate({ name, subject, body, ...row }: TemplateRow): Template {
  const times = { createTime: row.create_time.getTime(), updateTime: row.update_time.getTime() };
  return { name, subject, body, secretValues: row.secret_values, builtIn: row.built_in, ...times };
}
