/** The SQL of consumer groups: what they have committed, and who reads what. */
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { nextMove } from "./assignment.ts";

/** Milliseconds after which a member that was not heard of is gone. */
export const leaseMs = 10_000;

/** A group of one topic. */
export interface Group {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly topicId: number;
  readonly topic: string;
  readonly createTime: number;
  readonly members: number;
}

/** Where a group stands in a partition. */
export interface Place {
  readonly partition: number;
  readonly committed: number;
  readonly generation: number;
  readonly member: string | undefined;
}

/** Finds the group, or makes it with every partition at `start`. */
export async function ensureGroup(
  db: Database,
  {
    owner,
    name,
    topicId,
    partitions,
    start,
  }: { owner: string; name: string; topicId: number; partitions: number; start: number },
): Promise<string> {
  return db.transaction(async (tx) => {
    await tx.query("INSERT INTO consumer_group (owner, name, topic_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", [
      owner,
      name,
      topicId,
    ]);
    const sql = "SELECT id FROM consumer_group WHERE owner = $1 AND name = $2 AND topic_id = $3 FOR UPDATE";
    const [group] = await tx.query<{ id: string }>(sql, [owner, name, topicId]);
    if (group === undefined) throw new Error("a group that was just made is gone");
    await tx.query(
      `INSERT INTO claim (group_id, partition, committed) SELECT $1, p, $3 FROM generate_series(0, $2 - 1) p
       WHERE NOT EXISTS (SELECT FROM claim WHERE group_id = $1)`,
      [group.id, partitions, start],
    );
    return group.id;
  });
}

/** How many groups an owner has. */
export async function countGroups(q: Queryable, owner: string): Promise<number> {
  const rows = await q.query<{ n: string }>("SELECT count(*) AS n FROM consumer_group WHERE owner = $1", [owner]);
  return Number(rows[0]?.n ?? 0);
}

/**
 * One turn of a member: says that it lives, buries the dead, gives up and takes partitions. Answers what it reads from now on;
 * undefined when the group is gone.
 */
export async function memberTurn(db: Database, groupId: string, member: string): Promise<Place[] | undefined> {
  return db.transaction(async (tx) => {
    if ((await tx.query("SELECT FROM consumer_group WHERE id = $1 FOR UPDATE", [groupId])).length === 0) return undefined;
    await tx.query(
      `INSERT INTO member (id, group_id, lease_until) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 ms')
       ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until`,
      [member, groupId, leaseMs],
    );
    await tx.query("DELETE FROM member WHERE group_id = $1 AND lease_until < clock_timestamp()", [groupId]);
    // A partition that the topic got since the group was made: whatever stands in it is new.
    await tx.query(
      `INSERT INTO claim (group_id, partition, committed)
       SELECT g.id, p, 0 FROM consumer_group g JOIN topic t ON t.id = g.topic_id CROSS JOIN generate_series(0, t.partitions - 1) p
       WHERE g.id = $1 AND NOT EXISTS (SELECT FROM claim WHERE group_id = g.id AND partition = p)`,
      [groupId],
    );
    const sql = "SELECT id FROM member WHERE group_id = $1 ORDER BY join_time, id";
    const members = (await tx.query<{ id: string }>(sql, [groupId])).map(({ id }) => id);
    const { release, take } = nextMove(members, await placesOf(tx, groupId), member);
    if (release.length + take.length > 0) {
      await tx.query(
        `WITH told AS (SELECT pg_notify('group_changed', $1::text))
         UPDATE claim SET member = CASE WHEN partition = ANY ($3::smallint[]) THEN $2::uuid END,
           generation = CASE WHEN partition = ANY ($3::smallint[]) THEN nextval('claim_generation') ELSE generation END
         FROM told WHERE group_id = $1::bigint AND partition = ANY ($3::smallint[] || $4::smallint[])`,
        [groupId, member, take, release],
      );
    }
    return (await placesOf(tx, groupId)).filter((place) => place.member === member);
  });
}

/** A member goes: what it read is free at once. */
export async function leaveGroup(db: Database, groupId: string, member: string): Promise<void> {
  await db.query(
    `WITH gone AS (DELETE FROM member WHERE id = $2), told AS (SELECT pg_notify('group_changed', $1::text))
     UPDATE claim SET member = NULL FROM told WHERE group_id = $1::bigint AND member = $2`,
    [groupId, member],
  );
}

/** Where a group stands in each partition. */
export async function placesOf(q: Queryable, groupId: string): Promise<Place[]> {
  const sql = "SELECT partition, committed, generation, member FROM claim WHERE group_id = $1 ORDER BY partition";
  const rows = await q.query<{ partition: number; committed: string; generation: string; member: string | null }>(sql, [groupId]);
  return rows.map(({ partition, committed, generation, member }) => {
    return { partition, committed: Number(committed), generation: Number(generation), member: member ?? undefined };
  });
}

/** Commits, never back. Undefined when there is no such partition, "fenced" when its generation is another. */
export async function commit(
  q: Queryable,
  o: { groupId: string; partition: number; position: number; generation: number },
): Promise<number | "fenced" | undefined> {
  const rows = await q.query<{ committed: string; fits: boolean }>(
    `UPDATE claim SET committed = CASE WHEN $4::bigint IN (0, generation) THEN greatest(committed, $3::bigint) ELSE committed END
     WHERE group_id = $1 AND partition = $2 RETURNING committed, $4::bigint IN (0, generation) AS fits`,
    [o.groupId, o.partition, o.position, o.generation],
  );
  const row = rows[0];
  return row === undefined ? undefined : row.fits ? Number(row.committed) : "fenced";
}

/** Sets every partition to `position` and takes all from their readers, who then begin anew. */
export async function moveGroup(q: Queryable, groupId: string, position: number): Promise<void> {
  await q.query(
    `WITH told AS (SELECT pg_notify('group_changed', $1::text))
     UPDATE claim SET committed = $2, member = NULL, generation = nextval('claim_generation') FROM told WHERE group_id = $1::bigint`,
    [groupId, position],
  );
}

/** Finds a group. */
export async function findGroup(q: Queryable, owner: string, name: string, topicId: number): Promise<Group | undefined> {
  const sql = `${groupSql} WHERE g.owner = $1 AND g.name = $2 AND g.topic_id = $3`;
  return (await q.query<GroupRow>(sql, [owner, name, topicId])).map(toGroup)[0];
}

/** At most `size` groups by age behind `after`; an owner's, or all. */
export async function listGroups(
  q: Queryable,
  { owner, topic, size, after }: { owner: string | undefined; topic: string; size: number; after: string },
): Promise<Group[]> {
  const sql = `${groupSql} WHERE ($1::text IS NULL OR g.owner = $1) AND ($2 = '' OR t.name = $2) AND g.id > $3 ORDER BY g.id LIMIT $4`;
  return (await q.query<GroupRow>(sql, [owner ?? null, topic, after, size])).map(toGroup);
}

/** Forgets a group that nobody reads; false when somebody does. */
export async function deleteGroup(q: Queryable, groupId: string): Promise<boolean> {
  const sql = `DELETE FROM consumer_group g WHERE id = $1
    AND NOT EXISTS (SELECT FROM member WHERE group_id = g.id AND lease_until >= clock_timestamp()) RETURNING 1`;
  return (await q.query(sql, [groupId])).length > 0;
}

/** How many events lie behind each place, at most 1,000,000; of one producer when one is given. */
export async function lags(
  q: Queryable,
  topicId: number,
  places: readonly Place[],
  producer: string | undefined,
): Promise<number[]> {
  const rows = await q.query<{ n: string }>(
    `SELECT (SELECT count(*) FROM (SELECT FROM event WHERE topic_id = $1 AND partition = c.partition AND position > c.committed
        AND position >= (SELECT first_position FROM topic WHERE id = $1) AND ($4::text IS NULL OR producer = $4) LIMIT 1000000) e) AS n
     FROM unnest($2::smallint[], $3::bigint[]) WITH ORDINALITY AS c(partition, committed, i) ORDER BY i`,
    [topicId, places.map(({ partition }) => partition), places.map(({ committed }) => committed), producer ?? null],
  );
  return rows.map(({ n }) => Number(n));
}

const groupSql = `SELECT g.id, g.owner, g.name, g.topic_id, t.name AS topic, g.create_time,
  (SELECT count(*) FROM member m WHERE m.group_id = g.id AND m.lease_until >= clock_timestamp())::integer AS members
  FROM consumer_group g JOIN topic t ON t.id = g.topic_id`;

interface GroupRow {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly topic_id: number;
  readonly topic: string;
  readonly create_time: Date;
  readonly members: number;
}

function toGroup({ topic_id, create_time, ...same }: GroupRow): Group {
  return { ...same, topicId: topic_id, createTime: create_time.getTime() };
}
