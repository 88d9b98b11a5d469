/** Search: a request to a query of the index, and its hits to items. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { SearchMode, type SearchRequest, type SearchResponseSchema } from "#gen/vector/v1/vector_pb.ts";
import { notFound } from "#mesh/errors.ts";
import { type Collection, defaultName } from "./collection.ts";
import type { Query } from "./collection-index.ts";
import type { Condition } from "./filter.ts";
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

type Answer = MessageInitShape<typeof SearchResponseSchema>;

/** Names whose collections are remembered. */
const maxSeen = 10_000;

/** The handler of Search, for an owner that was checked. */
export function searchHandler({ db, embedder, indexes, effort: usualEffort }: HandlerParts) {
  /**
   * Collections by owner and name, as they were last found. What a collection is never changes, but a name may be given to another one, so
   * an answer counts only when its collection is still there; the look at its items tells.
   */
  const seen = new Map<string, Collection>();

  return async (request: SearchRequest, owner: string, signal: AbortSignal): Promise<Answer> => {
    if (request.query.trim() === "" && request.vector.length === 0) {
      throw mistake("query", "expected words to look for, or a vector");
    }
    const condition = conditionOf(request.filter);
    const name = request.collection || defaultName;
    const place = `${owner} ${name}`;
    const known = seen.get(place);
    const first = known === undefined ? undefined : await outcomeOf(answerFrom(known, request, condition, signal));
    if (first?.answer !== undefined) return first.answer;

    const collection = await findCollection(db, owner, name);
    if (collection === undefined) {
      seen.delete(place);
      // Nobody has put anything into the collection that is there by itself.
      if (name === defaultName) return { results: [], mode: request.mode || SearchMode.HYBRID };
      throw notFound("collection", name);
    }
    if (first !== undefined && "error" in first && collection.id === known?.id) throw first.error;
    if (seen.size >= maxSeen) seen.clear();
    seen.set(place, collection);
    const answer = await answerFrom(collection, request, condition, signal);
    if (answer === undefined) throw notFound("collection", name);
    return answer;
  };

  /** Undefined when the collection is not there any more. */
  async function answerFrom(
    collection: Collection,
    request: SearchRequest,
    condition: Condition | undefined,
    signal: AbortSignal,
  ): Promise<Answer | undefined> {
    const { query: text, topK, effort, exact, textWeight = 0.5 } = request;
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
      collection.id,
      hits.map(({ key }) => key),
    );
    if (items === undefined) return undefined;
    const results = hits.flatMap(({ key, score, distance, textScore }) => {
      const item = items.get(key);
      if (item === undefined) return [];
      const parts = { ...(distance === undefined ? {} : { distance }), ...(textScore === undefined ? {} : { textScore }) };
      return [{ item: fromItem(item), score, ...parts }];
    });
    return { results, mode: modeNames[mode] };
  }

  async function vectorFor({ vector, query }: SearchRequest, { dimensions, embedding, name }: Collection, signal: AbortSignal) {
    if (vector.length > 0) return vectorIn(vector, dimensions, "vector");
    if (embedding === "none") throw mistake("vector", `expected ${dimensions} numbers: collection ${name} does not embed`);
    return (await embedder.embed(embedding, [query], dimensions, signal)).vectors[0];
  }
}

async function outcomeOf<T>(
  work: Promise<T>,
): Promise<{ readonly answer: T } | { readonly answer?: undefined; readonly error: unknown }> {
  try {
    return { answer: await work };
  } catch (error) {
    return { error };
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
