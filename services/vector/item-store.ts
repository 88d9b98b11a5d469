/** The SQL of items. */
import type { Queryable } from "#mesh/storage/database.ts";
import { bytesOf, type Item, type NewItem, vectorOf } from "./collection.ts";
import type { ItemChange } from "./index-protocol.ts";
import type { Position } from "./row.ts";

/** What a change of items came to. */
export interface Changed {
  /** Its number. */
  readonly change: number;
  /** How many items there are more than before; fewer: negative. */
  readonly difference: number;
  /** How many there are now. */
  readonly itemCount: number;
}

/** Begins a change of a collection's items: others of the collection wait until it is committed. Undefined when it is gone. */
export async function beginChange(q: Queryable, collectionId: string): Promise<number | undefined> {
  const [row] = await q.query<{ change: string }>("UPDATE collection SET change = change + 1 WHERE id = $1 RETURNING change", [
    collectionId,
  ]);
  return row === undefined ? undefined : Number(row.change);
}

/** Puts items in, or in the place of those with their ids. */
export async function upsertItems(
  q: Queryable,
  collectionId: string,
  change: number,
  items: readonly NewItem[],
  now: number,
): Promise<Changed> {
  const ids = items.map(({ id }) => id);
  const [before] = await q.query<{ count: string }>(
    "SELECT count(*) FROM item WHERE collection_id = $1 AND id = ANY($2) AND NOT removed",
    [collectionId, ids],
  );
  await q.query(
    `INSERT INTO item (collection_id, id, text, vector, metadata, change, update_time)
     SELECT $1, id, text, vector, nullif(metadata, '')::jsonb, $2, $3
     FROM unnest($4::text[], $5::text[], $6::bytea[], $7::text[]) AS given (id, text, vector, metadata)
     ON CONFLICT (collection_id, id) DO UPDATE SET text = excluded.text, vector = excluded.vector, metadata = excluded.metadata,
       change = excluded.change, removed = false, update_time = excluded.update_time`,
    [
      ...[collectionId, change, new Date(now), ids, items.map(({ text }) => text)],
      ...[items.map(({ vector }) => bytesOf(vector)), items.map(({ metadata }) => metadata)],
    ],
  );
  return endChange(q, collectionId, change, items.length - Number(before?.count ?? 0));
}

/** Removes those of the ids that are there. */
export async function removeItems(
  q: Queryable,
  collectionId: string,
  change: number,
  ids: readonly string[],
  now: number,
): Promise<Changed> {
  const rows = await q.query(
    `UPDATE item SET removed = true, text = '', vector = NULL, metadata = NULL, change = $2, update_time = $3
     WHERE collection_id = $1 AND id = ANY($4) AND NOT removed RETURNING 1`,
    [collectionId, change, new Date(now), ids],
  );
  return endChange(q, collectionId, change, -rows.length);
}

async function endChange(q: Queryable, collectionId: string, change: number, difference: number): Promise<Changed> {
  const [row] = await q.query<{ item_count: string }>(
    `UPDATE collection SET item_count = item_count + $2 WHERE id = $1
     RETURNING item_count, pg_notify('vector_changed', id::text)`,
    [collectionId, difference],
  );
  return { change, difference, itemCount: Number(row?.item_count ?? 0) };
}

/** Changes of a collection's items after a position, in order, with the vectors of those that are not removed behind each other. */
export async function readChanges(
  q: Queryable,
  collectionId: string,
  after: Position,
  dimensions: number,
  limit: number,
): Promise<{ changes: ItemChange[]; vectors: Float32Array<ArrayBuffer>; position: Position | undefined }> {
  const rows = await q.query<ChangeRow>(
    `SELECT key, change, removed, text, vector, metadata::text FROM item
     WHERE collection_id = $1 AND (change, key) > ($2, $3) ORDER BY change, key LIMIT $4`,
    [collectionId, after.change, after.key, limit],
  );
  const vectors = new Float32Array(rows.filter(({ removed }) => !removed).length * dimensions);
  const bytes = new Uint8Array(vectors.buffer);
  let at = 0;
  const changes = rows.map(({ key, removed, text, vector, metadata }): ItemChange => {
    if (vector !== null) {
      bytes.set(vector, at);
      at += dimensions * 4;
    }
    return { key: Number(key), removed, text, metadata: metadata ?? "" };
  });
  const last = rows.at(-1);
  // A change is visible as a whole: after the last page nothing of it is to come.
  const key = rows.length < limit ? Number.MAX_SAFE_INTEGER : Number(last?.key);
  return { changes, vectors, position: last === undefined ? undefined : { change: Number(last.change), key } };
}

interface ChangeRow {
  readonly key: string;
  readonly change: string;
  readonly removed: boolean;
  readonly text: string;
  readonly vector: Buffer | null;
  readonly metadata: string | null;
}

interface ItemRow {
  readonly key: string;
  readonly id: string;
  readonly text: string;
  readonly vector?: Buffer;
  readonly metadata: string | null;
  readonly update_time: Date;
}

/** One item with its vector. */
export async function getItem(q: Queryable, collectionId: string, id: string): Promise<Item | undefined> {
  const rows = await q.query<ItemRow>(
    "SELECT key, id, text, vector, metadata::text, update_time FROM item WHERE collection_id = $1 AND id = $2 AND NOT removed",
    [collectionId, id],
  );
  return rows.map(toItem)[0];
}

/** A page of items by id, after the id `after`. */
export async function listItems(q: Queryable, collectionId: string, after: string, limit: number): Promise<Item[]> {
  const rows = await q.query<ItemRow>(
    `SELECT key, id, text, metadata::text, update_time FROM item
     WHERE collection_id = $1 AND id > $2 AND NOT removed ORDER BY id LIMIT $3`,
    [collectionId, after, limit],
  );
  return rows.map(toItem);
}

/**
 * The items of these keys, all of one collection, without their vectors; those that were removed meanwhile are not among them. Undefined
 * when the collection is not there any more.
 */
export async function itemsByKey(
  q: Queryable,
  collectionId: string,
  keys: readonly number[],
): Promise<Map<number, Item> | undefined> {
  const rows = await q.query<ItemRow | { readonly key: null }>(
    `SELECT i.key, i.id, i.text, i.metadata::text, i.update_time FROM collection c
     LEFT JOIN item i ON i.key = ANY($2) AND NOT i.removed WHERE c.id = $1`,
    [collectionId, keys],
  );
  if (rows.length === 0) return undefined;
  return new Map(rows.flatMap((row) => (row.key === null ? [] : [[Number(row.key), toItem(row)]])));
}

/** Forgets what was removed before `time`, and remembers up to which changes that is. Answers with how many items those were. */
export async function purge(q: Queryable, time: number): Promise<number> {
  const [row] = await q.query<{ count: string }>(
    `WITH gone AS (DELETE FROM item WHERE removed AND update_time < $1 RETURNING collection_id, change),
       last AS (SELECT collection_id, max(change) AS change FROM gone GROUP BY collection_id),
       kept AS (UPDATE collection SET purged_change = greatest(purged_change, last.change) FROM last WHERE id = collection_id)
     SELECT count(*) FROM gone`,
    [new Date(time)],
  );
  return Number(row?.count ?? 0);
}

function toItem({ id, text, vector, metadata, update_time }: ItemRow): Item {
  const values = vector === undefined ? new Float32Array(0) : vectorOf(vector);
  return { id, text, vector: values, metadata: metadata ?? "", updateTime: update_time.getTime() };
}
