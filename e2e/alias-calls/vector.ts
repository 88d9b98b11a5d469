/** Example calls of the vector service's routes. */
import type { AliasCall } from "../alias-calls.ts";

// The value of `anything`, which is not there yet when its module loads this one.
const anything = "<anything>";

const items = [
  { id: "retry", text: "Retries wait with exponential backoff", metadata: { lang: "en" } },
  { id: "kreis", text: "Ein Schutzschalter trennt den Kreis", metadata: { lang: "de" } },
];

/** A collection from its first items to its end. */
export const vectorCalls: readonly AliasCall[] = [
  {
    call: "POST /api/v1/embed",
    rpc: "vector.v1.VectorService/Embed",
    body: { text: "a mesh", dimensions: 32 },
    answer: { model: "heddle-hashed-1", dimensions: 32, embeddings: [{ values: anything }] },
  },
  {
    call: "POST /v1/embeddings",
    rpc: "vector.v1.VectorService/CreateEmbeddings",
    body: { model: "heddle-hashed-1", input: ["a mesh", "two meshes"], encoding_format: "base64", dimensions: 32 },
    answer: {
      object: "list",
      data: [{ object: "embedding", index: 0, embedding: anything }, { index: 1 }],
      usage: { prompt_tokens: 4 },
    },
  },
  {
    call: "POST /api/v1/collections",
    rpc: "vector.v1.VectorService/CreateCollection",
    body: { collection: { name: "notes" } },
    answer: { name: "notes", dimensions: 256, metric: "METRIC_COSINE", embedding: "EMBEDDING_BUILT_IN", owner: "{user}" },
  },
  {
    call: "GET /api/v1/collections",
    rpc: "vector.v1.VectorService/ListCollections",
    answer: { collections: [{ name: "notes" }] },
  },
  {
    call: "POST /api/v1/collections/notes/items",
    rpc: "vector.v1.VectorService/BatchUpsertItems",
    body: { items },
    answer: { upsertedCount: 2, createdCount: 2 },
  },
  {
    call: "POST /api/v1/collections/notes/items:upload",
    rpc: "vector.v1.VectorService/UpsertItems",
    raw: {
      type: "application/x-ndjson",
      text: `{"items": [{"id": "third", "text": "A third note"}]}\n{"items": [{"id": "fourth", "text": "A fourth"}]}\n`,
    },
    answer: { upsertedCount: "2", createdCount: "2" },
  },
  {
    call: "GET /api/v1/collections/notes",
    rpc: "vector.v1.VectorService/GetCollection",
    answer: { name: "notes", itemCount: "4" },
  },
  {
    call: "GET /api/v1/collections/notes/items",
    rpc: "vector.v1.VectorService/ListItems",
    answer: { items: [{ id: "fourth" }, { id: "kreis" }, { id: "retry" }, { id: "third" }] },
  },
  {
    call: "GET /api/v1/collections/notes/items/retry",
    rpc: "vector.v1.VectorService/GetItem",
    answer: { id: "retry", metadata: { lang: "en" } },
  },
  {
    call: "POST /api/v1/collections/notes:search",
    rpc: "vector.v1.VectorService/Search",
    body: { query: "circle", filter: { field: "lang", equal: "de" } },
    answer: { results: [{ item: { id: "kreis" } }], mode: "SEARCH_MODE_HYBRID" },
  },
  {
    call: "POST /api/v1/search",
    rpc: "vector.v1.VectorService/Search",
    body: { collection: "notes", query: "backoff", mode: "SEARCH_MODE_TEXT" },
    answer: { results: [{ item: { id: "retry" } }], mode: "SEARCH_MODE_TEXT" },
  },
  {
    call: "GET /api/v1/search?query=backoff&top_k=1&collection=notes",
    rpc: "vector.v1.VectorService/Search",
    answer: { results: [{ item: { id: "retry" }, score: anything }] },
  },
  {
    call: "GET /api/v1/stats",
    rpc: "vector.v1.VectorService/GetStats",
    answer: { collectionCount: "1", itemCount: "4", indexes: [{ collection: "notes", vectorCount: "4" }] },
  },
  {
    call: "POST /api/v1/collections/notes/items:delete",
    rpc: "vector.v1.VectorService/DeleteItems",
    body: { ids: ["third", "fifth"] },
    answer: { deletedCount: 1 },
  },
  {
    call: "DELETE /api/v1/collections/notes/items/fourth",
    rpc: "vector.v1.VectorService/DeleteItem",
    answer: {},
  },
  {
    call: "DELETE /api/v1/collections/notes",
    rpc: "vector.v1.VectorService/DeleteCollection",
    answer: {},
  },
];
