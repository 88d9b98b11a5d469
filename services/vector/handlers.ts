/** The contract's methods: messages to domain values, rules, store, and back. */
import { VectorService } from "#gen/vector/v1/vector_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { notFound } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { collectionToFill, makeCollection, ownCollection } from "./collections.ts";
import { getItem, listItems } from "./item-store.ts";
import { embeddingOf, fromCollection, fromItem, metricOf, mistake } from "./messages.ts";
import { answerOpenAi } from "./open-ai.ts";
import { mayUseAll, ownerOf, type Who } from "./ownership.ts";
import { searchHandler } from "./search-handler.ts";
import { countAll, deleteCollection, listCollections } from "./store.ts";
import { remove, type UpsertParts, upsert } from "./upserts.ts";

/** What the handlers work with. */
export interface HandlerParts extends UpsertParts {
  /** How many candidates a search looks at when it does not say. */
  readonly effort: number;
}

/** The contract and its methods. */
export function vectorHandlers(parts: HandlerParts): Implementation {
  const { db, embedder, indexes } = parts;
  const search = searchHandler(parts);

  return implement(VectorService, {
    async embed({ text, texts, embedding, dimensions }, { signal }) {
      const all = text === "" ? texts : [text, ...texts];
      if (all.length === 0) throw mistake("text", "expected a text");
      const kind = embeddingOf[embedding] === "remote" ? "remote" : "built-in";
      const { vectors, ...made } = await embedder.embed(kind, all, dimensions, signal);
      return { ...made, embeddings: vectors.map((vector) => ({ values: Array.from(vector) })) };
    },

    createEmbeddings: (request, { signal }) => answerOpenAi(embedder, request, signal),

    search: (request, { signal }) => search(request, ownerOf(currentWho(), request.userId), signal),

    async createCollection({ requestId, collection, userId }, { signal }) {
      const owner = ownerOf(currentWho(), userId);
      const { name = "", dimensions = 0, metric = 0, embedding = 0 } = collection ?? {};
      const rules = { metric: metricOf[metric] ?? "cosine", embedding: embeddingOf[embedding] ?? "built-in" };
      const id = requestId === "" ? undefined : requestId.toLowerCase();
      return {
        collection: fromCollection(await makeCollection(parts, { owner, requestId: id, name, dimensions, ...rules }, signal)),
      };
    },

    async listCollections({ userId, pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      const found = await listCollections(db, ownerOf(currentWho(), userId), afterOf(pageToken), size + 1);
      const page = found.slice(0, size);
      return { collections: page.map(fromCollection), nextPageToken: tokenOf(found.length > size, page.at(-1)?.name) };
    },

    async getCollection({ collection, userId }) {
      return { collection: fromCollection(await ownCollection(db, ownerOf(currentWho(), userId), collection)) };
    },

    async deleteCollection({ collection, userId }) {
      const { id } = await ownCollection(db, ownerOf(currentWho(), userId), collection);
      await deleteCollection(db, id);
      return {};
    },

    async batchUpsertItems({ collection: name, items, userId }, { signal }) {
      const collection = await collectionToFill(parts, ownerOf(currentWho(), userId), name);
      const createdCount = await upsert(parts, collection, items, signal);
      await indexes.catchUp(collection);
      return { upsertedCount: items.length, createdCount };
    },

    async upsertItems(requests, { signal }) {
      const who = currentWho();
      let collection: Awaited<ReturnType<typeof collectionToFill>> | undefined;
      let [upserted, created, at] = [0, 0, 0];
      for await (const request of requests) {
        const owner = ownerOf(who, request.userId);
        collection ??= await collectionToFill(parts, owner, request.collection);
        if (request.collection !== "" && request.collection !== collection.name) {
          throw mistake(
            "collection",
            `expected ${JSON.stringify(collection.name)} in all messages, got another in that of index ${at}`,
          );
        }
        created += await upsert(parts, collection, request.items, signal);
        if (at === 0) await indexes.catchUp(collection);
        upserted += request.items.length;
        at++;
      }
      if (collection === undefined) throw mistake("", "expected a message, got none");
      await indexes.catchUp(collection);
      return { upsertedCount: BigInt(upserted), createdCount: BigInt(created) };
    },

    async getItem({ collection, id, userId }) {
      const { id: collectionId } = await ownCollection(db, ownerOf(currentWho(), userId), collection);
      const item = await getItem(db, collectionId, id.toWellFormed());
      if (item === undefined) throw notFound("item", id);
      return { item: fromItem(item) };
    },

    async listItems({ collection, pageSize, pageToken, userId }) {
      const { id } = await ownCollection(db, ownerOf(currentWho(), userId), collection);
      const size = pageSize || defaultPageSize;
      const found = await listItems(db, id, afterOf(pageToken), size + 1);
      const page = found.slice(0, size);
      return { items: page.map(fromItem), nextPageToken: tokenOf(found.length > size, page.at(-1)?.id) };
    },

    async deleteItems({ collection: name, ids, userId }) {
      const collection = await ownCollection(db, ownerOf(currentWho(), userId), name);
      const deletedCount = await remove(parts, collection, ids);
      await indexes.catchUp(collection);
      return { deletedCount };
    },

    async deleteItem({ collection: name, id, userId }) {
      const collection = await ownCollection(db, ownerOf(currentWho(), userId), name);
      if ((await remove(parts, collection, [id])) === 0) throw notFound("item", id);
      await indexes.catchUp(collection);
      return {};
    },

    async getStats({ userId }) {
      const who = currentWho();
      const owner = userId === "" && mayUseAll(who) ? undefined : ownerOf(who, userId);
      const { collections, items } = await countAll(db, owner);
      const states = [...(await indexes.states()).values()].filter(
        ({ collection }) => owner === undefined || collection.owner === owner,
      );
      const rows = states.map(({ collection, state }) => ({
        collection: collection.name,
        vectorCount: BigInt(state.rows),
        pendingCount: BigInt(state.pending),
        termCount: BigInt(state.terms),
        memoryBytes: BigInt(state.bytes),
        change: BigInt(state.position.change),
      }));
      return {
        collectionCount: BigInt(collections),
        itemCount: BigInt(items),
        memoryBytes: rows.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0n),
        indexes: rows.sort((a, b) => (a.collection < b.collection ? -1 : 1)),
        models: [...embedder.models],
      };
    },
  });
}

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

function afterOf(pageToken: string): string {
  const after = decodePageToken(pageToken);
  if (after !== undefined && after.length !== 1) throw badPageToken();
  return after?.[0] ?? "";
}

function tokenOf(more: boolean, last: string | undefined): string {
  return more && last !== undefined ? encodePageToken([last]) : "";
}
