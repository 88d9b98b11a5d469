/** Search: a request to a query of the index, and its hits to items. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { SearchMode, type SearchRequest, type SearchResponseSchema } from "#gen/vector/v1/vector_pb.ts";
import { type Collection, defaultName } from "./collection.ts";
import type { Query } from "./collection-index.ts";
import { ownCollection } from "./collections.ts";
import type { Mode } from "./fusion.ts";
import type { HandlerParts } from "./handlers.ts";
import { itemsByKey } from "./item-store.ts";
import { conditionOf, fromItem, mistake, vectorIn } from "./messages.ts";
import { findCollection } from "./store.ts";

/** Results when the request does not say how many. */
const defaultTopK = 10;

const modeNames: Readonly<Record<Mode, SearchMode>> = {
  vector: SearchMode.VECTOR,
  text: SearchMode.TEXT,
  hybrid: SearchMode.HYBRID,
};

/** The handler of Search, for an owner that was checked. */
export function searchHandler({ db, embedder, indexes, effort: usualEffort }: HandlerParts) {
  return async (
    request: SearchRequest,
    owner: string,
    signal: AbortSignal,
  ): Promise<MessageInitShape<typeof SearchResponseSchema>> => {
    const { query: text, topK, effort, exact, textWeight = 0.5 } = request;
    if (text.trim() === "" && request.vector.length === 0) throw mistake("query", "expected words to look for, or a vector");
    const condition = conditionOf(request.filter);
    // Nobody has put anything into the collection that is there by itself.
    if ((request.collection || defaultName) === defaultName && (await findCollection(db, owner, defaultName)) === undefined) {
      return { results: [], mode: request.mode || SearchMode.HYBRID };
    }
    const collection = await ownCollection(db, owner, request.collection);
    const mode = modeOf(request, collection);
    const vector = mode === "text" ? undefined : await vectorFor(request, collection, signal);
    const query: Query = {
      mode,
      vector,
      text,
      topK: topK || defaultTopK,
      condition,
      textWeight,
      effort: effort || usualEffort,
      exact,
    };
    const hits = await indexes.search(collection, query);
    const items = await itemsByKey(
      db,
      hits.map(({ key }) => key),
    );
    const results = hits.flatMap(({ key, score, distance, textScore }) => {
      const item = items.get(key);
      if (item === undefined) return [];
      const parts = { ...(distance === undefined ? {} : { distance }), ...(textScore === undefined ? {} : { textScore }) };
      return [{ item: fromItem(item), score, ...parts }];
    });
    return { results, mode: modeNames[mode] };
  };

  async function vectorFor({ vector, query }: SearchRequest, { dimensions, embedding, name }: Collection, signal: AbortSignal) {
    if (vector.length > 0) return vectorIn(vector, dimensions, "vector");
    if (embedding === "none") throw mistake("vector", `expected ${dimensions} numbers: collection ${name} does not embed`);
    return (await embedder.embed(embedding, [query], dimensions, signal)).vectors[0];
  }
}

/** @throws INVALID_ARGUMENT naming query for a mode that needs one and has none. */
function modeOf({ mode, query, vector }: SearchRequest, { embedding }: Collection): Mode {
  const hasWords = query.trim() !== "";
  if ((mode === SearchMode.TEXT || mode === SearchMode.HYBRID) && !hasWords) throw mistake("query", "expected words to look for");
  if (mode === SearchMode.VECTOR) return "vector";
  if (mode === SearchMode.TEXT) return "text";
  if (mode === SearchMode.HYBRID) return "hybrid";
  if (!hasWords) return "vector";
  return embedding === "none" && vector.length === 0 ? "text" : "hybrid";
}
