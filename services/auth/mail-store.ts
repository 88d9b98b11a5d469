/** SQL of the mails that wait for the notification service. */
import type { Queryable } from "#mesh/storage/database.ts";

/** A mail to hand over. Times are ms since the epoch. */
export interface PendingMail {
  /** Also the request id towards the notification service: handing it over twice sends it once. */
  readonly id: string;
  readonly userId: string;
  readonly recipient: string;
  readonly template: string;
  /** The template's values, sealed. */
  readonly contents: Buffer;
  readonly attempts: number;
}

export async function insertMail(
  q: Queryable,
  mail: Omit<PendingMail, "attempts">,
  now: number,
  expireTime: number,
): Promise<void> {
  await q.query(
    `insert into pending_mails (id, user_id, recipient, template, contents, next_attempt_time, expire_time)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [mail.id, mail.userId, mail.recipient, mail.template, mail.contents, new Date(now), new Date(expireTime)],
  );
}

/** Takes up to `limit` due mails; nobody else takes them until `leaseUntil`, so that one who dies leaves them to others. */
export async function claimMails(q: Queryable, now: number, leaseUntil: number, limit: number): Promise<PendingMail[]> {
  const rows = await q.query<{
    id: string;
    user_id: string;
    recipient: string;
    template: string;
    contents: Buffer;
    attempts: number;
  }>(
    `update pending_mails m set next_attempt_time = $2, attempts = m.attempts + 1
     from (select id from pending_mails where next_attempt_time <= $1 order by next_attempt_time limit $3 for update skip locked) due
     where m.id = due.id returning m.*`,
    [new Date(now), new Date(leaseUntil), limit],
  );
  return rows.map((row) => ({
    id: row.id,
    userId: row.user_id,
    recipient: row.recipient,
    template: row.template,
    contents: row.contents,
    attempts: row.attempts,
  }));
}

export async function postponeMail(q: Queryable, id: string, until: number): Promise<void> {
  await q.query("update pending_mails set next_attempt_time = $2 where id = $1", [id, new Date(until)]);
}

export async function deleteMail(q: Queryable, id: string): Promise<void> {
  await q.query("delete from pending_mails where id = $1", [id]);
}

/** When the next one is due; undefined when none waits. */
export async function nextMailTime(q: Queryable): Promise<number | undefined> {
  const rows = await q.query<{ next: Date | null }>("select min(next_attempt_time) as next from pending_mails");
  return rows[0]?.next?.getTime();
}

/** Those whose token has ended are of no use to anybody. */
export async function sweepMails(q: Queryable, now: number): Promise<void> {
  await q.query("delete from pending_mails where expire_time < $1", [new Date(now)]);
}
