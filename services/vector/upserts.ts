/** Putting items in: checked, embedded where they bring no vector, stored, and taken into the index. */
import type { Item as ItemMessage } from "#gen/vector/v1/collection_pb.ts";
import { failedPrecondition, notFound } from "#mesh/errors.ts";
import type { Collection, NewItem } from "./collection.ts";
import type { CollectionParts } from "./collections.ts";
import type { Indexes } from "./indexes.ts";
import { beginChange, removeItems, upsertItems } from "./item-store.ts";
import { metadataOf, mistake, vectorIn } from "./messages.ts";

/** What items are put in with. */
export interface UpsertParts extends CollectionParts {
  readonly indexes: Indexes;
  readonly maxItems: number;
}

/**
 * Puts items in, all or none, and answers with how many of them were not there. `field` is where they stand in the request, for errors.
 *
 * @throws INVALID_ARGUMENT naming the part of an item that is wrong, FAILED_PRECONDITION when there would be too many.
 */
export async function upsert(
  parts: UpsertParts,
  collection: Collection,
  messages: readonly ItemMessage[],
  signal: AbortSignal,
): Promise<number> {
  const { db, clock, maxItems } = parts;
  if (messages.length === 0) return 0;
  const items = await embedded(parts, collection, messages, signal);
  return db.transaction(async (tx) => {
    const change = await beginChange(tx, collection.id);
    if (change === undefined) throw notFound("collection", collection.name);
    const { difference, itemCount } = await upsertItems(tx, collection.id, change, items, clock());
    if (difference > 0 && itemCount > maxItems) {
      throw failedPrecondition("TOO_MANY_ITEMS", `expected at most ${maxItems} items in a collection, got ${itemCount}`);
    }
    return difference;
  });
}

/** Removes items, and answers with how many of them were there. */
export async function remove({ db, clock }: UpsertParts, collection: Collection, ids: readonly string[]): Promise<number> {
  return db.transaction(async (tx) => {
    const change = await beginChange(tx, collection.id);
    if (change === undefined) throw notFound("collection", collection.name);
    return -(await removeItems(tx, collection.id, change, ids, clock())).difference;
  });
}

async function embedded(
  { embedder }: UpsertParts,
  { dimensions, embedding, name }: Collection,
  messages: readonly ItemMessage[],
  signal: AbortSignal,
): Promise<NewItem[]> {
  const seen = new Set<string>();
  const wordless: string[] = [];
  const drafts = messages.map(({ id, text, vector, metadata }, at) => {
    const field = `items[${at}]`;
    const wellFormed = id.toWellFormed();
    if (seen.has(wellFormed)) throw mistake(`${field}.id`, `expected each id once, got ${JSON.stringify(id)} again`);
    seen.add(wellFormed);
    if (vector.length === 0) {
      if (embedding === "none")
        throw mistake(`${field}.vector`, `expected ${dimensions} numbers: collection ${name} does not embed`);
      if (text === "") throw mistake(field, "expected a text or a vector");
      wordless.push(text);
    }
    const given = vector.length === 0 ? undefined : vectorIn(vector, dimensions, `${field}.vector`);
    return { id: wellFormed, text: text.toWellFormed(), given, metadata: metadataOf(metadata, `${field}.metadata`) };
  });
  const vectors =
    wordless.length === 0 || embedding === "none" ? [] : (await embedder.embed(embedding, wordless, dimensions, signal)).vectors;
  let next = 0;
  return drafts.map(({ given, ...item }) => {
    const vector = given ?? vectors[next++];
    if (vector === undefined) throw new Error("an embedding gave too few vectors");
    return { ...item, vector };
  });
}
