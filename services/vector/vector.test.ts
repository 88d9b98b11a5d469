import assert from "node:assert/strict";
import type { Client } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { Embedding, Metric } from "#gen/vector/v1/collection_pb.ts";
import { SearchMode, type VectorService } from "#gen/vector/v1/vector_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asBob,
  asEtl,
  bob,
  eventually,
  type Fixture,
  freshDatabase,
  refused,
  serve,
} from "./vector.fixture.ts";

describe("vector", function () {
  this.timeout(60_000);
  let db: Database;
  let fixture: Fixture;
  let client: Client<typeof VectorService>;
  beforeEach(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
    client = fixture.as(asAnn);
  });
  afterEach(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const flat = { name: "flat", dimensions: 2, embedding: Embedding.NONE, metric: Metric.SQUARED_EUCLIDEAN };
  const corners = [
    { id: "origin", vector: [0, 0] },
    { id: "east", vector: [1, 0] },
    { id: "north", vector: [0, 2] },
  ];
  const idsOf = ({ results }: { results: readonly { item?: { id: string } | undefined }[] }) =>
    results.map(({ item }) => item?.id);

  describe("collections", () => {
    it("a collection without rules has 256 dimensions, cosine, and the built-in embedding", async () => {
      const { collection } = await client.createCollection({ collection: { name: "docs" } });
      assert.deepEqual(
        [collection?.dimensions, collection?.metric, collection?.embedding, collection?.model, collection?.owner],
        [256, Metric.COSINE, Embedding.BUILT_IN, "heddle-hashed-1", ann],
      );
      assert.deepEqual((await client.getCollection({ collection: "docs" })).collection, collection);
    });

    it("the same request_id answers with the same collection, with another name ALREADY_EXISTS, as a name that is taken", async () => {
      const requestId = uuidv7();
      const { collection } = await client.createCollection({ requestId, collection: { name: "docs" } });
      assert.deepEqual((await client.createCollection({ requestId, collection: { name: "docs" } })).collection, collection);
      await refused(client.createCollection({ requestId, collection: { name: "other" } }), Code.AlreadyExists);
      await refused(client.createCollection({ collection: { name: "docs" } }), Code.AlreadyExists);
    });

    it("EMBEDDING_NONE without dimensions, 31 dimensions of the built-in one, and a remote one that is not there are refused", async () => {
      const none = { name: "a", embedding: Embedding.NONE };
      await refused(client.createCollection({ collection: none }), Code.InvalidArgument, "collection.dimensions");
      await refused(client.createCollection({ collection: { name: "a", dimensions: 31 } }), Code.InvalidArgument, "dimensions");
      const remote = { name: "a", embedding: Embedding.REMOTE };
      await refused(client.createCollection({ collection: remote }), Code.FailedPrecondition);
    });

    it("lists the caller's by name, in pages", async () => {
      for (const name of ["b", "a", "C"]) await client.createCollection({ collection: { name } });
      await fixture.as(asBob).createCollection({ collection: { name: "a" } });
      const first = await client.listCollections({ pageSize: 2 });
      assert.deepEqual(
        first.collections.map(({ name }) => name),
        ["C", "a"],
      );
      const second = await client.listCollections({ pageSize: 2, pageToken: first.nextPageToken });
      assert.deepEqual([second.collections.map(({ name }) => name), second.nextPageToken], [["b"], ""]);
    });

    it("others' collections are not there, and naming their owner is refused but to administrators and services", async () => {
      await client.createCollection({ collection: flat });
      await client.batchUpsertItems({ collection: "flat", items: corners });
      const asStranger = fixture.as(asBob);
      await refused(asStranger.search({ collection: "flat", vector: [0, 0] }), Code.NotFound);
      await refused(asStranger.batchUpsertItems({ collection: "flat", items: corners }), Code.NotFound);
      await refused(asStranger.getItem({ collection: "flat", id: "east" }), Code.NotFound);
      await refused(asStranger.search({ collection: "flat", vector: [0, 0], userId: ann }), Code.PermissionDenied);
      for (const who of [asAdmin, asEtl]) {
        assert.deepEqual(idsOf(await fixture.as(who).search({ collection: "flat", vector: [0, 0], topK: 1, userId: ann })), [
          "origin",
        ]);
      }
      assert.equal((await asStranger.getStats({})).itemCount, 0n);
      await refused(asStranger.getStats({ userId: ann }), Code.PermissionDenied);
      assert.equal((await fixture.as(asAdmin).getStats({})).itemCount, 3n);
    });

    it("a deleted collection is gone with its items and its index, and its name is free", async () => {
      await client.createCollection({ collection: flat });
      await client.batchUpsertItems({ collection: "flat", items: corners });
      await client.search({ collection: "flat", vector: [0, 0] });
      await client.deleteCollection({ collection: "flat" });
      await refused(client.search({ collection: "flat", vector: [0, 0] }), Code.NotFound);
      await eventually("the index to be closed", async () => (await fixture.indexes.states()).size === 0);
      await client.createCollection({ collection: flat });
      assert.deepEqual(idsOf(await client.search({ collection: "flat", vector: [0, 0] })), []);
    });

    it("a name that was given to another collection since it was last searched is that one's", async () => {
      await client.createCollection({ collection: flat });
      await client.batchUpsertItems({ collection: "flat", items: corners });
      await client.search({ collection: "flat", vector: [0, 0] });
      await client.deleteCollection({ collection: "flat" });
      await client.createCollection({ collection: { ...flat, dimensions: 3 } });
      await client.batchUpsertItems({ collection: "flat", items: [{ id: "up", vector: [0, 0, 1] }] });
      assert.deepEqual(idsOf(await client.search({ collection: "flat", vector: [0, 0, 2] })), ["up"]);
      await refused(client.search({ collection: "flat", vector: [0, 0] }), Code.InvalidArgument, "vector");
    });
  });

  describe("items", () => {
    it("what was put in is found at once, by each metric's distance", async () => {
      const distances = async (metric: Metric) => {
        const name = `m${metric}`;
        await client.createCollection({ collection: { ...flat, name, metric } });
        await client.batchUpsertItems({ collection: name, items: corners.slice(1) });
        const { results } = await client.search({ collection: name, vector: [3, 4] });
        return results.map(({ item, distance, score }) => [item?.id, Number(distance?.toFixed(5)), Number(score.toFixed(5))]);
      };
      assert.deepEqual(await distances(Metric.COSINE), [
        ["north", 0.2, 0.8],
        ["east", 0.4, 0.6],
      ]);
      assert.deepEqual(await distances(Metric.INNER_PRODUCT), [
        ["north", -7, 8],
        ["east", -2, 3],
      ]);
      assert.deepEqual(await distances(Metric.SQUARED_EUCLIDEAN), [
        ["north", 13, -13],
        ["east", 20, -20],
      ]);
    });

    it("an item of the same id replaces the one before, and the counts say so", async () => {
      await client.createCollection({ collection: flat });
      const { upsertedCount, createdCount } = await client.batchUpsertItems({ collection: "flat", items: corners });
      assert.deepEqual([upsertedCount, createdCount], [3, 3]);
      await client.search({ collection: "flat", vector: [0, 0] });
      const again = await client.batchUpsertItems({
        collection: "flat",
        items: [{ id: "origin", vector: [9, 9], text: "moved" }],
      });
      assert.deepEqual([again.upsertedCount, again.createdCount], [1, 0]);
      assert.deepEqual(idsOf(await client.search({ collection: "flat", vector: [0, 0] })), ["east", "north", "origin"]);
      const { item } = await client.getItem({ collection: "flat", id: "origin" });
      assert.deepEqual([item?.text, item?.vector], ["moved", [9, 9]]);
      assert.equal((await client.getCollection({ collection: "flat" })).collection?.itemCount, 3n);
    });

    it("removed items are not found any more; one that was not there is NOT_FOUND, or passed over among several", async () => {
      await client.createCollection({ collection: flat });
      await client.batchUpsertItems({ collection: "flat", items: corners });
      await client.search({ collection: "flat", vector: [0, 0] });
      assert.equal((await client.deleteItems({ collection: "flat", ids: ["east", "west"] })).deletedCount, 1);
      await client.deleteItem({ collection: "flat", id: "north" });
      await refused(client.deleteItem({ collection: "flat", id: "north" }), Code.NotFound);
      await refused(client.getItem({ collection: "flat", id: "north" }), Code.NotFound);
      assert.deepEqual(idsOf(await client.search({ collection: "flat", vector: [0, 0] })), ["origin"]);
      assert.deepEqual(await client.listItems({ collection: "flat" }).then(({ items }) => items.map(({ id }) => id)), ["origin"]);
      await client.batchUpsertItems({ collection: "flat", items: corners });
      assert.equal((await client.getCollection({ collection: "flat" })).collection?.itemCount, 3n);
    });

    it("lists items by id in pages, with text and metadata and without vectors", async () => {
      await client.createCollection({ collection: flat });
      const metadata = { lang: "en", tags: ["a", "b"], deep: { n: 1.5, no: null, yes: true } };
      await client.batchUpsertItems({ collection: "flat", items: corners.map((item) => ({ ...item, text: item.id, metadata })) });
      const first = await client.listItems({ collection: "flat", pageSize: 2 });
      assert.deepEqual(
        first.items.map(({ id, text, vector }) => [id, text, vector]),
        [
          ["east", "east", []],
          ["north", "north", []],
        ],
      );
      assert.deepEqual(first.items[0]?.metadata, metadata);
      const second = await client.listItems({ collection: "flat", pageSize: 2, pageToken: first.nextPageToken });
      assert.deepEqual([second.items.map(({ id }) => id), second.nextPageToken], [["origin"], ""]);
    });

    const refusals: [string, object, string][] = [
      ["a vector of 3 numbers where there are 2", { id: "a", vector: [1, 2, 3] }, "items[0].vector"],
      ["NaN", { id: "a", vector: [1, Number.NaN] }, "items[0].vector[1]"],
      ["infinity", { id: "a", vector: [Number.POSITIVE_INFINITY, 0] }, "items[0].vector[0]"],
      ["no vector where nothing embeds", { id: "a", text: "words" }, "items[0].vector"],
      [
        "metadata of 65 values",
        { id: "a", vector: [0, 0], metadata: { list: Array.from({ length: 65 }, () => 1) } },
        "items[0].metadata",
      ],
      ["metadata of 9,000 bytes", { id: "a", vector: [0, 0], metadata: { a: "x".repeat(9000) } }, "items[0].metadata"],
      ["metadata 6 deep", { id: "a", vector: [0, 0], metadata: { a: { b: { c: { d: { e: {} } } } } } }, "items[0].metadata"],
      ["NUL in metadata", { id: "a", vector: [0, 0], metadata: { a: "\0" } }, "items[0].metadata"],
      ["an empty id", { id: "", vector: [0, 0] }, "items[0].id"],
    ];
    for (const [what, item, field] of refusals) {
      it(`${what} is refused, naming ${field}, and nothing of the batch is put in`, async () => {
        await client.createCollection({ collection: flat });
        await refused(client.batchUpsertItems({ collection: "flat", items: [item] }), Code.InvalidArgument, field);
        const batch = [{ id: "z", vector: [0, 0] }, item];
        await refused(client.batchUpsertItems({ collection: "flat", items: batch }), Code.InvalidArgument);
        assert.equal((await client.getCollection({ collection: "flat" })).collection?.itemCount, 0n);
      });
    }

    it("the same id twice in a batch is refused, naming the second", async () => {
      await client.createCollection({ collection: flat });
      const items = [corners[0], corners[1], corners[0]].flatMap((item) => item ?? []);
      await refused(client.batchUpsertItems({ collection: "flat", items }), Code.InvalidArgument, "items[2].id");
    });

    it("beyond the limit of items nothing is put in", async () => {
      await using small = await serve(db, { maxItems: 2 });
      const limited = small.as(asAnn);
      await limited.createCollection({ collection: flat });
      await refused(limited.batchUpsertItems({ collection: "flat", items: corners }), Code.FailedPrecondition);
      assert.equal((await limited.batchUpsertItems({ collection: "flat", items: corners.slice(0, 2) })).createdCount, 2);
    });

    it("a stream of items answers with the sums, and a message for another collection ends it", async () => {
      await client.createCollection({ collection: flat });
      const messages = async function* (second: string) {
        yield { collection: "flat", items: corners };
        yield {
          collection: second,
          items: [
            { id: "west", vector: [-1, 0] },
            { id: "east", vector: [1, 1] },
          ],
        };
      };
      const { upsertedCount, createdCount } = await client.upsertItems(messages(""));
      assert.deepEqual([upsertedCount, createdCount], [5n, 4n]);
      assert.deepEqual(idsOf(await client.search({ collection: "flat", vector: [-1, 0], topK: 1 })), ["west"]);
      await refused(client.upsertItems(messages("other")), Code.InvalidArgument, "collection");
    });

    it("the collection `default` is made by its first items, and empty before", async () => {
      assert.deepEqual((await client.search({ query: "a mesh" })).results, []);
      await client.batchUpsertItems({
        items: [
          { id: "1", text: "A service mesh without sidecars" },
          { id: "2", text: "Bread and butter" },
        ],
      });
      const { results, mode } = await client.search({ query: "meshes", topK: 1 });
      assert.deepEqual([results[0]?.item?.id, mode], ["1", SearchMode.HYBRID]);
    });

    it("a service that calls in nobody's name has collections of its own", async () => {
      const etl = fixture.as(asEtl);
      await etl.createCollection({ collection: flat });
      assert.equal((await etl.getCollection({ collection: "flat" })).collection?.owner, "service:etl");
      await etl.createCollection({ collection: flat, userId: bob });
      assert.equal((await fixture.as(asBob).getCollection({ collection: "flat" })).collection?.owner, bob);
    });
  });

  describe("search", () => {
    const items = [
      { id: "retry", text: "Retries wait with exponential backoff and jitter", metadata: { lang: "en", year: 2020 } },
      { id: "breaker", text: "A circuit breaker opens when half of the calls fail", metadata: { lang: "en", year: 2024 } },
      {
        id: "bremse",
        text: "Ein Schutzschalter trennt den Kreis",
        metadata: { lang: "de", year: 2024, tags: ["kreis", "schalter"] },
      },
    ];
    beforeEach(() => client.batchUpsertItems({ items }).then(() => undefined));

    it("by words: only items that have one, with their BM25 scores and no distance", async () => {
      const { results, mode } = await client.search({ query: "circuit calls", mode: SearchMode.TEXT });
      assert.deepEqual([idsOf({ results }), mode], [["breaker"], SearchMode.TEXT]);
      assert.deepEqual([results[0]?.distance, results[0]?.score], [undefined, results[0]?.textScore]);
    });

    it("by vectors: all items, also for a word that is misspelt", async () => {
      const { results } = await client.search({ query: "exponental bakoff", mode: SearchMode.VECTOR });
      assert.deepEqual([results[0]?.item?.id, results.length, results[0]?.textScore], ["retry", 3, undefined]);
    });

    it("hybrid: text_weight 0 ranks as vectors do, 1 as words do", async () => {
      for (const [textWeight, mode] of [
        [0, SearchMode.VECTOR],
        [1, SearchMode.TEXT],
      ] as const) {
        const one = await client.search({ query: "circuit", mode: SearchMode.HYBRID, textWeight, topK: 1 });
        const other = await client.search({ query: "circuit", mode, topK: 1 });
        assert.deepEqual(idsOf(one), idsOf(other));
      }
    });

    const value = (kind: object) => ({ kind }) as never;
    const text = (of: string) => value({ case: "stringValue", value: of });
    const number = (of: number) => value({ case: "numberValue", value: of });
    const filters: [string, object, string[]][] = [
      ["lang = de", { field: "lang", condition: { case: "equal", value: text("de") } }, ["bremse"]],
      ["lang != de", { field: "lang", condition: { case: "notEqual", value: text("de") } }, ["breaker", "retry"]],
      ["year >= 2021", { field: "year", condition: { case: "atLeast", value: number(2021) } }, ["breaker", "bremse"]],
      ["year < 2021", { field: "year", condition: { case: "less", value: number(2021) } }, ["retry"]],
      ["year > a text", { field: "year", condition: { case: "greater", value: text("") } }, []],
      ["tags = schalter, an element", { field: "tags", condition: { case: "equal", value: text("schalter") } }, ["bremse"]],
      ["tags exists", { field: "tags", condition: { case: "exists", value: true } }, ["bremse"]],
      ["tags does not", { field: "tags", condition: { case: "exists", value: false } }, ["breaker", "retry"]],
      ["lang in (de, fr)", { field: "lang", condition: { case: "in", value: { values: [text("de"), text("fr")] } } }, ["bremse"]],
    ];
    for (const [what, filter, expected] of filters) {
      it(`filter ${what}: ${expected.join(", ") || "nothing"}`, async () => {
        const found = await client.search({ query: "circuit breaker", filter: filter as never });
        assert.deepEqual(idsOf(found).sort(), expected);
      });
    }

    it("filters of filters: all, any and not", async () => {
      const en = { field: "lang", condition: { case: "equal", value: text("en") } } as const;
      const late = { field: "year", condition: { case: "atLeast", value: number(2024) } } as const;
      const with_ = async (condition: object) =>
        idsOf(await client.search({ query: "circuit", filter: { condition } as never })).sort();
      assert.deepEqual(await with_({ case: "all", value: { filters: [en, late] } }), ["breaker"]);
      assert.deepEqual(await with_({ case: "any", value: { filters: [en, late] } }), ["breaker", "bremse", "retry"]);
      assert.deepEqual(await with_({ case: "not", value: en }), ["bremse"]);
    });

    it("a filter 9 deep, one without a field, and one that compares a list are refused, naming the part", async () => {
      const equal = { field: "lang", condition: { case: "equal", value: text("en") } };
      const nested = Array.from({ length: 8 }).reduce((value) => ({ condition: { case: "not", value } }), equal as unknown);
      const ask = (filter: unknown) => client.search({ query: "a", filter: filter as never });
      await refused(ask(nested), Code.InvalidArgument, `filter${".not".repeat(8)}`);
      await refused(ask({ ...equal, field: "" }), Code.InvalidArgument, "filter.field");
      const list = { field: "a", condition: { case: "equal", value: value({ case: "listValue", value: { values: [] } }) } };
      await refused(ask(list), Code.InvalidArgument, "filter.equal");
    });

    it("neither a query nor a vector, or a mode that lacks its part, is refused", async () => {
      await refused(client.search({}), Code.InvalidArgument, "query");
      await refused(client.search({ vector: [1], mode: SearchMode.VECTOR }), Code.InvalidArgument, "vector");
      const vector = Array.from({ length: 256 }, () => 1);
      await refused(client.search({ vector, mode: SearchMode.TEXT }), Code.InvalidArgument, "query");
      assert.equal((await client.search({ vector })).mode, SearchMode.VECTOR);
    });

    it("stats: collections, items, and how the index stands", async () => {
      await client.search({ query: "circuit" });
      const { collectionCount, itemCount, indexes, models } = await client.getStats({});
      assert.deepEqual([collectionCount, itemCount, models], [1n, 3n, ["heddle-hashed-1"]]);
      assert.deepEqual(
        indexes.map(({ collection, vectorCount, pendingCount }) => [collection, vectorCount, pendingCount]),
        [["default", 3n, 0n]],
      );
    });
  });
});
