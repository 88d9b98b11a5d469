/** The SQL of collections. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Collection, EmbeddingKind } from "./collection.ts";
import type { Metric } from "./metric.ts";

interface CollectionRow {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly dimensions: number;
  readonly metric: Metric;
  readonly embedding: EmbeddingKind;
  readonly model: string;
  readonly change: string;
  readonly purged_change: string;
  readonly item_count: string;
  readonly create_time: Date;
}

const columns = "id, owner, name, dimensions, metric, embedding, model, change, purged_change, item_count, create_time";

/** Adds a collection. False when its name or request id is taken. */
export async function insertCollection(q: Queryable, collection: Collection, requestId: string | undefined): Promise<boolean> {
  const { id, owner, name, dimensions, metric, embedding, model, createTime } = collection;
  const rows = await q.query(
    `INSERT INTO collection (id, owner, name, request_id, dimensions, metric, embedding, model, create_time)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING 1`,
    [id, owner, name, requestId ?? null, dimensions, metric, embedding, model, new Date(createTime)],
  );
  return rows.length > 0;
}

/** An owner's collection by name. */
export async function findCollection(q: Queryable, owner: string, name: string): Promise<Collection | undefined> {
  const rows = await q.query<CollectionRow>(`SELECT ${columns} FROM collection WHERE owner = $1 AND name = $2`, [owner, name]);
  return rows.map(toCollection)[0];
}

/** An owner's collection by the id of the request that made it. */
export async function findByRequestId(q: Queryable, owner: string, requestId: string): Promise<Collection | undefined> {
  const sql = `SELECT ${columns} FROM collection WHERE owner = $1 AND request_id = $2`;
  return (await q.query<CollectionRow>(sql, [owner, requestId])).map(toCollection)[0];
}

/** A collection by id. */
export async function getCollection(q: Queryable, id: string): Promise<Collection | undefined> {
  const rows = await q.query<CollectionRow>(`SELECT ${columns} FROM collection WHERE id = $1`, [id]);
  return rows.map(toCollection)[0];
}

/** A page of an owner's collections, by name: those after the name `after`. */
export async function listCollections(q: Queryable, owner: string, after: string, limit: number): Promise<Collection[]> {
  const sql = `SELECT ${columns} FROM collection WHERE owner = $1 AND name > $2 ORDER BY name LIMIT $3`;
  return (await q.query<CollectionRow>(sql, [owner, after, limit])).map(toCollection);
}

/** How many collections an owner has. */
export async function countCollections(q: Queryable, owner: string): Promise<number> {
  const [row] = await q.query<{ count: string }>("SELECT count(*) FROM collection WHERE owner = $1", [owner]);
  return Number(row?.count ?? 0);
}

/** How many collections and items there are: an owner's, or everybody's. */
export async function countAll(q: Queryable, owner: string | undefined): Promise<{ collections: number; items: number }> {
  const [row] = await q.query<{ collections: string; items: string }>(
    "SELECT count(*) AS collections, coalesce(sum(item_count), 0) AS items FROM collection WHERE $1::text IS NULL OR owner = $1",
    [owner ?? null],
  );
  return { collections: Number(row?.collections ?? 0), items: Number(row?.items ?? 0) };
}

/** Everybody's collections that have items, the largest last. */
export async function filledCollections(q: Queryable): Promise<Collection[]> {
  const sql = `SELECT ${columns} FROM collection WHERE item_count > 0 ORDER BY item_count * dimensions`;
  return (await q.query<CollectionRow>(sql)).map(toCollection);
}

/** Which of these ids are collections. */
export async function existing(q: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const rows = await q.query<{ id: string }>("SELECT id::text FROM collection WHERE id::text = ANY($1)", [ids]);
  return new Set(rows.map(({ id }) => id));
}

/** Removes a collection with its items. */
export async function deleteCollection(q: Queryable, id: string): Promise<boolean> {
  const rows = await q.query("DELETE FROM collection WHERE id = $1 RETURNING pg_notify('vector_changed', id::text)", [id]);
  return rows.length > 0;
}

function toCollection(row: CollectionRow): Collection {
  const { id, owner, name, dimensions, metric, embedding, model, change, purged_change, item_count, create_time } = row;
  const numbers = { change: Number(change), purgedChange: Number(purged_change), itemCount: Number(item_count) };
  return { id, owner, name, dimensions, metric, embedding, model, ...numbers, createTime: create_time.getTime() };
}
