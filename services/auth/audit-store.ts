/** SQL of the audit log. */
import type { Queryable } from "#mesh/storage/database.ts";

/** One thing that happened. Times are ms since the epoch; texts are empty and ids undefined when unknown. */
export interface AuditEvent {
  readonly id: string;
  readonly createTime: number;
  readonly action: string;
  readonly userId: string | undefined;
  readonly success: boolean;
  readonly reason: string;
  readonly ipAddress: string;
  readonly userAgent: string;
  readonly correlationId: string;
  readonly sessionId: string | undefined;
}

/** What to list. */
export interface AuditQuery {
  readonly after: string | undefined;
  readonly limit: number;
  readonly userId: string | undefined;
  readonly action: string | undefined;
}

/** Does nothing when the request id, where one is given, has been used. */
export async function insertAuditEvent(q: Queryable, event: AuditEvent, requestId?: string): Promise<void> {
  await q.query(
    `insert into audit_events (id, create_time, action, user_id, success, reason, ip_address, user_agent, correlation_id, session_id,
       request_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (request_id) do nothing`,
    [
      event.id,
      new Date(event.createTime),
      event.action,
      event.userId,
      event.success,
      event.reason,
      event.ipAddress,
      event.userAgent,
      event.correlationId,
      event.sessionId,
      requestId,
    ],
  );
}

/** Latest first. */
export async function listAuditEvents(q: Queryable, query: AuditQuery): Promise<AuditEvent[]> {
  const rows = await q.query<AuditRow>(
    `select * from audit_events
     where ($1::uuid is null or id < $1) and ($2::uuid is null or user_id = $2) and ($3::text is null or action = $3)
     order by id desc limit $4`,
    [query.after, query.userId, query.action, query.limit],
  );
  return rows.map((row) => ({
    id: row.id,
    createTime: row.create_time.getTime(),
    action: row.action,
    userId: row.user_id ?? undefined,
    success: row.success,
    reason: row.reason,
    ipAddress: row.ip_address,
    userAgent: row.user_agent,
    correlationId: row.correlation_id,
    sessionId: row.session_id ?? undefined,
  }));
}

export async function sweepAuditEvents(q: Queryable, before: number): Promise<void> {
  await q.query("delete from audit_events where create_time < $1", [new Date(before)]);
}

interface AuditRow {
  readonly id: string;
  readonly create_time: Date;
  readonly action: string;
  readonly user_id: string | null;
  readonly success: boolean;
  readonly reason: string;
  readonly ip_address: string;
  readonly user_agent: string;
  readonly correlation_id: string;
  readonly session_id: string | null;
}
