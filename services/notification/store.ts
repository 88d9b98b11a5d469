/**
 * The SQL of notifications. Templates and push subscriptions have theirs in template-store.ts and push-store.ts.
 *
 * Each function takes the database or a transaction; times go in and out as milliseconds since the epoch.
 */

import type { Queryable } from "#mesh/storage/database.ts";
import { badPageToken } from "#mesh/storage/page.ts";
import type { ChannelName, NewNotification, Notification, NotificationStatus } from "./notification.ts";

/** A stored notification with the fingerprint of the request that made it. */
export interface Accepted {
  readonly requestId: string;
  readonly contentHash: string;
  readonly notification: Notification;
}

/** A notification that a sender has claimed: nobody else sends it until the lease ends. */
export interface Claimed {
  readonly id: string;
  readonly userId: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly createTime: number;
  readonly expireTime: number;
  /** The number of the attempt that the claim begins, from 1. */
  readonly attempt: number;
  readonly attemptTime: number;
  readonly leaseId: string;
}

/** The end of an attempt, to be recorded. */
export interface Ended {
  readonly success: boolean;
  readonly detail: string;
  readonly status: NotificationStatus;
  readonly failureReason: string;
  readonly now: number;
  readonly nextAttemptTime: number | undefined;
}

/** The notifications that `caller` made under these request ids. */
export async function findByRequestIds(q: Queryable, caller: string, requestIds: readonly string[]): Promise<Accepted[]> {
  if (requestIds.length === 0) return [];
  const rows = await q.query<NotificationRow & { request_id: string; content_hash: string }>(
    `SELECT n.request_id, n.content_hash, ${notificationColumns} FROM notification n
     WHERE n.caller = $1 AND n.request_id = ANY ($2::uuid[])`,
    [caller, requestIds],
  );
  return rows.map((row) => ({ requestId: row.request_id, contentHash: row.content_hash, notification: toNotification(row) }));
}

/** Stores new notifications, due at once. Answers with the ids of those that were; a request id that is taken is left out. */
export async function insertNotifications(q: Queryable, caller: string, all: readonly NewNotification[]): Promise<Set<string>> {
  if (all.length === 0) return new Set();
  const rows = await q.query<{ id: string }>(
    `INSERT INTO notification (caller, id, request_id, content_hash, user_id, channel, recipient, subject, body, shown_subject,
       shown_body, template, create_time, expire_time, next_attempt_time)
     SELECT $1, "id", "requestId", "contentHash", "userId", "channel", "recipient", "subject", "body",
       nullif("shownSubject", "subject"), nullif("shownBody", "body"), "template",
       to_timestamp("createTime" / 1000.0), to_timestamp("expireTime" / 1000.0), to_timestamp("createTime" / 1000.0)
     FROM jsonb_to_recordset($2::jsonb) AS row ("id" uuid, "requestId" uuid, "contentHash" text, "userId" uuid, "channel" text,
       "recipient" text, "subject" text, "body" text, "shownSubject" text, "shownBody" text, "template" text,
       "createTime" bigint, "expireTime" bigint)
     ORDER BY "requestId", "id"
     ON CONFLICT (caller, request_id) DO NOTHING RETURNING id`,
    [caller, JSON.stringify(all)],
  );
  return new Set(rows.map(({ id }) => id));
}

/** One notification, whoever owns it; undefined when there is none. */
export async function getNotification(q: Queryable, id: string): Promise<Notification | undefined> {
  const rows = await q.query<NotificationRow>(`SELECT ${notificationColumns} FROM notification n WHERE n.id = $1`, [id]);
  return rows.map(toNotification)[0];
}

/** Puts a mark into the feed of changes: what was committed before comes before it. */
export async function announceWatch(q: Queryable, mark: string): Promise<void> {
  await q.query("SELECT pg_notify('notification_changed', $1)", [JSON.stringify({ mark })]);
}

/** What a page of a user's history shows. */
export interface HistoryQuery {
  readonly userId: string;
  readonly size: number;
  /** Create time and id of the last one of the page before. */
  readonly after: readonly string[] | undefined;
  readonly channel: ChannelName | undefined;
  readonly status: NotificationStatus | undefined;
}

/** A page holds fewer than asked for when their texts together have more bytes: a message may have 4 MB. */
const maxPageBytes = 2_000_000;

/** A page of a user's notifications, latest first, and whether there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listNotifications(q: Queryable, query: HistoryQuery): Promise<{ items: Notification[]; more: boolean }> {
  const { userId, size, after, channel, status } = query;
  const [time, id] = after ?? [];
  if (after !== undefined && !(after.length === 2 && /^\d{1,15}$/.test(time ?? "") && uuid.test(id ?? ""))) throw badPageToken();
  const rows = await q.query<NotificationRow & { total: number }>(
    `WITH page AS (
       SELECT id, create_time, octet_length(subject) + octet_length(body) AS bytes FROM notification
       WHERE user_id = $1
         AND ($2::bigint IS NULL OR (create_time, id) < (to_timestamp($2::bigint / 1000.0), $3::uuid))
         AND ($4::text IS NULL OR channel = $4) AND ($5::text IS NULL OR status = $5)
       ORDER BY create_time DESC, id DESC LIMIT $6 + 1
     ), counted AS (
       SELECT id, count(*) OVER ()::integer AS total, row_number() OVER latest AS place, sum(bytes) OVER latest AS bytes
       FROM page WINDOW latest AS (ORDER BY create_time DESC, id DESC)
     )
     SELECT counted.total, ${notificationColumns} FROM counted JOIN notification n USING (id)
     WHERE place = 1 OR (place <= $6 AND counted.bytes <= $7)
     ORDER BY n.create_time DESC, n.id DESC`,
    [userId, time ?? null, id ?? null, channel ?? null, status ?? null, size, maxPageBytes],
  );
  return { items: rows.map(toNotification), more: rows.length < (rows[0]?.total ?? 0) };
}

/**
 * Claims up to `limit` notifications that are due, until `now + leaseMs`. Those that another sender has locked are passed over; those
 * whose lease ended are claimed again, and the attempt that was lost with it is put on record.
 */
export async function claimDue(
  q: Queryable,
  {
    channel,
    limit,
    now,
    leaseMs,
    leaseId,
  }: { channel: ChannelName; limit: number; now: number; leaseMs: number; leaseId: string },
): Promise<Claimed[]> {
  const rows = await q.query<
    Omit<Claimed, "leaseId" | "attemptTime" | "createTime" | "expireTime"> & { created: Date; expires: Date }
  >(
    `WITH due AS (
       SELECT id, lease_id AS lost, attempts, attempt_time FROM notification
       WHERE channel = $1 AND status = 'pending' AND next_attempt_time <= $2 AND (lease_until IS NULL OR lease_until <= $2)
       ORDER BY next_attempt_time LIMIT $3 FOR UPDATE SKIP LOCKED
     ), lost AS (
       INSERT INTO attempt (notification_id, number, time, success, detail)
       SELECT id, attempts, attempt_time, false, 'no outcome: the sender stopped during the attempt' FROM due WHERE lost IS NOT NULL
       ON CONFLICT (notification_id, number) DO NOTHING
     )
     UPDATE notification n SET lease_id = $4, lease_until = $5, attempts = n.attempts + 1, attempt_time = $2
     FROM due WHERE n.id = due.id
     RETURNING n.id, n.user_id AS "userId", n.recipient, n.subject, n.body, n.create_time AS created, n.expire_time AS expires,
       n.attempts AS attempt`,
    [channel, new Date(now), limit, leaseId, new Date(now + leaseMs)],
  );
  return rows.map(({ created, expires, ...row }) => {
    return { ...row, createTime: created.getTime(), expireTime: expires.getTime(), attemptTime: now, leaseId };
  });
}

/** When the next notification of a channel that nobody has claimed is due; undefined when there is none. */
export async function nextDue(q: Queryable, channel: ChannelName): Promise<number | undefined> {
  const rows = await q.query<{ at: Date }>(
    `SELECT next_attempt_time AS at FROM notification WHERE channel = $1 AND status = 'pending' AND lease_id IS NULL
     ORDER BY next_attempt_time LIMIT 1`,
    [channel],
  );
  return rows[0]?.at.getTime();
}

/**
 * Records the end of a claimed attempt and gives the claim up. False, and nothing recorded, when the lease was lost to another sender
 * meanwhile; a success is recorded all the same, since nobody needs to try again.
 */
export async function recordAttempt(q: Queryable, claimed: Claimed, ended: Ended): Promise<boolean> {
  const { success, detail, status, failureReason, now, nextAttemptTime } = ended;
  const rows = await q.query(
    `WITH changed AS (
       UPDATE notification SET status = $3, failure_reason = $4, lease_id = NULL, lease_until = NULL,
         send_time = CASE WHEN $3 = 'sent' THEN $5::timestamptz END,
         next_attempt_time = CASE WHEN $3 = 'pending' THEN $6::timestamptz END
       WHERE id = $1 AND status = 'pending' AND (lease_id = $2 OR $3 = 'sent') RETURNING id
     )
     INSERT INTO attempt (notification_id, number, time, success, detail) SELECT id, $7, $8, $9, $10 FROM changed
     ON CONFLICT (notification_id, number) DO UPDATE SET success = excluded.success, detail = excluded.detail RETURNING 1`,
    [
      ...[claimed.id, claimed.leaseId, status, failureReason, new Date(now)],
      ...[nextAttemptTime === undefined ? null : new Date(nextAttemptTime), claimed.attempt, new Date(claimed.attemptTime)],
      ...[success, detail],
    ],
  );
  return rows.length > 0;
}

/** Gives a claimed notification up without an attempt. */
export async function giveUp(q: Queryable, claimed: Claimed, reason: string): Promise<void> {
  await q.query(
    `UPDATE notification SET status = 'failed', failure_reason = $3, lease_id = NULL, lease_until = NULL, next_attempt_time = NULL,
       attempts = attempts - 1
     WHERE id = $1 AND lease_id = $2 AND status = 'pending'`,
    [claimed.id, claimed.leaseId, reason],
  );
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const notificationColumns = `n.id, n.user_id, n.channel, n.recipient, coalesce(n.shown_subject, n.subject) AS subject,
  coalesce(n.shown_body, n.body) AS body, n.template, n.status, n.failure_reason, n.create_time, n.send_time, n.next_attempt_time,
  (SELECT coalesce(json_agg(json_build_object('time', floor(extract(epoch FROM a.time) * 1000), 'success', a.success,
    'detail', a.detail) ORDER BY a.number), '[]') FROM attempt a WHERE a.notification_id = n.id) AS attempts`;

interface NotificationRow {
  readonly id: string;
  readonly user_id: string;
  readonly channel: ChannelName;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly template: string;
  readonly status: NotificationStatus;
  readonly failure_reason: string;
  readonly create_time: Date;
  readonly send_time: Date | null;
  readonly next_attempt_time: Date | null;
  readonly attempts: Notification["attempts"];
}

function toNotification(row: NotificationRow): Notification {
  const { id, channel, recipient, subject, body, template, status, attempts } = row;
  return {
    ...{
      id,
      userId: row.user_id,
      channel,
      recipient,
      subject,
      body,
      template,
      status,
      failureReason: row.failure_reason,
      attempts,
    },
    createTime: row.create_time.getTime(),
    sendTime: row.send_time?.getTime(),
    nextAttemptTime: row.next_attempt_time?.getTime(),
  };
}
