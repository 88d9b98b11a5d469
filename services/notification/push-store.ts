/** The SQL of push subscriptions, and of the keys that the service makes for itself. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { PushSubscription } from "./notification.ts";

/** Stores a subscription, in place of the one before for the same endpoint. Answers with its id: the old one for the same user. */
export async function putSubscription(
  q: Queryable,
  userId: string,
  subscription: PushSubscription,
  now: number,
): Promise<string> {
  const { id, endpoint, p256dh, auth } = subscription;
  const rows = await q.query<{ id: string }>(
    `INSERT INTO push_subscription AS s (id, user_id, endpoint, p256dh, auth, create_time) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, p256dh = excluded.p256dh, auth = excluded.auth,
       create_time = excluded.create_time, id = CASE WHEN s.user_id = excluded.user_id THEN s.id ELSE excluded.id END
     RETURNING id`,
    [id, userId, endpoint, p256dh, auth, new Date(now)],
  );
  return rows[0]?.id ?? id;
}

/** Keeps a user's `most` latest subscriptions: browsers that went away without a word must not pile up. */
export async function trimSubscriptions(q: Queryable, userId: string, most: number): Promise<void> {
  await q.query(
    `DELETE FROM push_subscription WHERE id IN
       (SELECT id FROM push_subscription WHERE user_id = $1 ORDER BY create_time DESC, id DESC OFFSET $2)`,
    [userId, most],
  );
}

/** Forgets a subscription, of `userId` when one is given. False when there is none such. */
export async function removeSubscription(q: Queryable, id: string, userId?: string): Promise<boolean> {
  const sql = "DELETE FROM push_subscription WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2) RETURNING 1";
  return (await q.query(sql, [id, userId ?? null])).length > 0;
}

/** A user's subscriptions, oldest first, each with whether it has taken the notification already. */
export async function subscriptionsFor(q: Queryable, userId: string, notificationId: string) {
  return q.query<PushSubscription & { taken: boolean }>(
    `SELECT s.id, s.endpoint, s.p256dh, s.auth, d.subscription_id IS NOT NULL AS taken FROM push_subscription s
     LEFT JOIN push_delivery d ON d.subscription_id = s.id AND d.notification_id = $2
     WHERE s.user_id = $1 ORDER BY s.create_time, s.id`,
    [userId, notificationId],
  );
}

/** Remembers that a subscription has taken a notification. */
export async function markTaken(q: Queryable, notificationId: string, subscriptionId: string): Promise<void> {
  const sql = "INSERT INTO push_delivery (notification_id, subscription_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
  await q.query(sql, [notificationId, subscriptionId]);
}

/** The stored secret of that name; `made` is stored and answered when there is none yet. All instances get the same. */
export async function keepSecret(q: Queryable, name: string, made: string): Promise<string> {
  await q.query("INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", [name, made]);
  const rows = await q.query<{ value: string }>("SELECT value FROM secret WHERE name = $1", [name]);
  return rows[0]?.value ?? made;
}
