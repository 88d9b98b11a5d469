import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { Embedding } from "#gen/vector/v1/collection_pb.ts";
import { type Asked, lengths, startEmbeddings } from "./http-server.fixture.ts";
import { remoteEmbedding } from "./remote-embedding.ts";
import { asAnn, freshDatabase, refused, serve } from "./vector.fixture.ts";

const signal = new AbortController().signal;
const optionsOf = (url: string) => {
  return { url, apiKey: "sk-1", model: "small", timeoutMs: 2000, batch: 2, attempts: 3, firstWaitMs: 1 };
};

describe("vector: the remote embedding", () => {
  it("posts batches of 2 with the key, the model and the dimensions, and puts vectors in the order of their indexes", async () => {
    await using server = await startEmbeddings(lengths);
    const remote = remoteEmbedding(optionsOf(`${server.url}/`));
    const vectors = await remote.embed(["a", "bb", "ccc"], 3, signal);
    assert.deepEqual(
      vectors.map((vector) => Array.from(vector)),
      [
        [1, 1, 0],
        [2, 1, 1],
        [3, 1, 0],
      ],
    );
    const sent = server.asked.map(({ path, headers, body }) => [path, headers.authorization, body]);
    assert.deepEqual(sent, [
      ["/v1/embeddings", "Bearer sk-1", { model: "small", input: ["a", "bb"], encoding_format: "float", dimensions: 3 }],
      ["/v1/embeddings", "Bearer sk-1", { model: "small", input: ["ccc"], encoding_format: "float", dimensions: 3 }],
    ]);
  });

  for (const status of [429, 500, 503]) {
    it(`${status} is tried again, and a third one is UNAVAILABLE`, async () => {
      let failures = 2;
      await using server = await startEmbeddings((response, asked) => {
        if (failures-- <= 0) return lengths(response, asked);
        response.writeHead(status).end();
      });
      const remote = remoteEmbedding(optionsOf(server.url));
      assert.equal((await remote.embed(["a"], 0, signal)).length, 1);
      failures = 3;
      await refused(remote.embed(["a"], 0, signal), Code.Unavailable);
      assert.equal(server.asked.length, 6);
    });
  }

  it("a Retry-After longer than ten seconds is not waited for", async () => {
    await using server = await startEmbeddings((response) => response.writeHead(429, { "retry-after": "60" }).end());
    await refused(remoteEmbedding(optionsOf(server.url)).embed(["a"], 0, signal), Code.Unavailable);
    assert.equal(server.asked.length, 1);
  });

  const refusals: [string, Parameters<typeof startEmbeddings>[0]][] = [
    ["401", (response) => response.writeHead(401).end()],
    ["a page instead of JSON", (response) => response.end("<html>")],
    ["too few vectors", (response) => response.end('{"data": []}')],
    [
      "the same index twice",
      (response) => response.end('{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}'),
    ],
    ["a text where numbers should be", (response) => response.end('{"data": [{"embedding": ["1"]}, {"embedding": [1]}]}')],
    ["vectors of other dimensions", (response, asked) => lengths(response, asked)],
  ];
  for (const [what, answer] of refusals) {
    it(`${what} is FAILED_PRECONDITION, and not tried again`, async () => {
      await using server = await startEmbeddings(answer);
      await refused(remoteEmbedding(optionsOf(server.url)).embed(["a", "b"], 4, signal), Code.FailedPrecondition);
      assert.equal(server.asked.length, 1);
    });
  }

  it("no answer in time is UNAVAILABLE, and a call that is cancelled does not go on", async () => {
    await using server = await startEmbeddings(() => undefined);
    const remote = remoteEmbedding({ ...optionsOf(server.url), timeoutMs: 20 });
    await refused(remote.embed(["a"], 0, signal), Code.Unavailable);
    assert.equal(server.asked.length, 3);
    const leaving = new AbortController();
    const call = remoteEmbedding(optionsOf(server.url)).embed(["a"], 0, leaving.signal);
    leaving.abort();
    await refused(call, Code.Canceled);
  });

  it("a collection of the remote embedding has its dimensions and model, and embeds items and queries by it", async () => {
    await using server = await startEmbeddings(lengths);
    await using db = await freshDatabase();
    await using fixture = await serve(db, { remote: remoteEmbedding(optionsOf(server.url)) });
    const client = fixture.as(asAnn);
    const { collection } = await client.createCollection({ collection: { name: "far", embedding: Embedding.REMOTE } });
    assert.deepEqual([collection?.dimensions, collection?.model], [3, "small"]);
    await client.batchUpsertItems({
      collection: "far",
      items: [
        { id: "short", text: "ab" },
        { id: "long", text: "x".repeat(100) },
      ],
    });
    const { results } = await client.search({ collection: "far", query: "y".repeat(90), textWeight: 0 });
    assert.equal(results[0]?.item?.id, "long");
    assert.deepEqual((await client.getStats({})).models, ["heddle-hashed-1", "small"]);
    const inputs = server.asked.map(({ body }: Asked) => body.input);
    assert.deepEqual(inputs, [["dimensions"], ["ab", "x".repeat(100)], ["y".repeat(90)]]);
  });
});
