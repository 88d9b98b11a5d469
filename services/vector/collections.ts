/** Making collections, and finding them. */
import { randomUUID } from "node:crypto";
import { alreadyExists, failedPrecondition, notFound } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { type Collection, defaultName, type EmbeddingKind } from "./collection.ts";
import type { Embedder } from "./embedder.ts";
import { defaultDimensions, hashedModel } from "./hashed-embedding.ts";
import { mistake } from "./messages.ts";
import type { Metric } from "./metric.ts";
import { countCollections, findByRequestId, findCollection, insertCollection } from "./store.ts";

/** What collections are made with. */
export interface CollectionParts {
  readonly db: Database;
  readonly embedder: Embedder;
  readonly clock: () => number;
}

/** A collection that is asked for. */
export interface Draft {
  readonly owner: string;
  readonly requestId: string | undefined;
  readonly name: string;
  /** 0: 256, or what the remote model answers with. */
  readonly dimensions: number;
  readonly metric: Metric;
  readonly embedding: EmbeddingKind;
}

/** Collections that one owner may have. */
const maxCollections = 1000;

/**
 * Makes a collection. The same request again answers with the same one.
 *
 * @throws ALREADY_EXISTS when the name is taken or the request id came before with other content, INVALID_ARGUMENT naming dimensions,
 * FAILED_PRECONDITION for the remote embedding where there is none, and at the owner's thousandth collection.
 */
export async function makeCollection(parts: CollectionParts, draft: Draft, signal: AbortSignal): Promise<Collection> {
  const { db, clock } = parts;
  const { owner, requestId, name, metric, embedding } = draft;
  const before = requestId === undefined ? undefined : await findByRequestId(db, owner, requestId);
  if (before !== undefined) return sameAs(before, draft);
  const { dimensions, model } = await modelFor(parts, draft, signal);
  if ((await countCollections(db, owner)) >= maxCollections) {
    throw failedPrecondition("TOO_MANY_COLLECTIONS", `expected at most ${maxCollections} collections of one owner`);
  }
  const numbers = { change: 0, purgedChange: 0, itemCount: 0, createTime: clock() };
  const collection = { id: randomUUID(), owner, name, dimensions, metric, embedding, model, ...numbers };
  if (await insertCollection(db, collection, requestId)) return collection;
  // The same request at the same time, or the name.
  const other = requestId === undefined ? undefined : await findByRequestId(db, owner, requestId);
  if (other !== undefined) return sameAs(other, draft);
  throw alreadyExists(`collection ${JSON.stringify(name)} exists already`);
}

/** An owner's collection. @throws NOT_FOUND. */
export async function ownCollection(db: Database, owner: string, name: string): Promise<Collection> {
  const collection = await findCollection(db, owner, name || defaultName);
  if (collection === undefined) throw notFound("collection", name || defaultName);
  return collection;
}

/** An owner's collection to put items in; the one called `default` is made when it is not there. @throws NOT_FOUND for others. */
export async function collectionToFill(parts: CollectionParts, owner: string, name: string): Promise<Collection> {
  const { db, clock } = parts;
  if ((name || defaultName) === defaultName && (await findCollection(db, owner, defaultName)) === undefined) {
    const rules = { dimensions: defaultDimensions, metric: "cosine", embedding: "built-in", model: hashedModel } as const;
    const numbers = { change: 0, purgedChange: 0, itemCount: 0, createTime: clock() };
    await insertCollection(db, { id: randomUUID(), owner, name: defaultName, ...rules, ...numbers }, undefined);
  }
  return ownCollection(db, owner, name);
}

async function modelFor({ embedder }: CollectionParts, { dimensions, embedding }: Draft, signal: AbortSignal) {
  if (embedding === "none") {
    if (dimensions === 0) throw mistake("collection.dimensions", "expected 1 to 4096 without an embedding, got 0");
    return { dimensions, model: "" };
  }
  // What cannot be embedded with is found now, not with the first item.
  const tried = await embedder.embed(embedding, ["dimensions"], dimensions, signal);
  return { dimensions: tried.dimensions, model: tried.model };
}

function sameAs(before: Collection, { requestId, name, dimensions, metric, embedding }: Draft): Collection {
  const same = before.name === name && before.metric === metric && before.embedding === embedding;
  if (same && (dimensions === 0 || before.dimensions === dimensions)) return before;
  throw alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}
