import assert from "node:assert/strict";
import { fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { openEmbedder } from "./embedder.ts";
import { embedHashed } from "./hashed-embedding.ts";
import { asAnn, freshDatabase, refused, serve } from "./vector.fixture.ts";
import { hashOf, singular, wordsOf } from "./words.ts";

describe("vector: words", () => {
  const rows: [string, string[]][] = [
    ["A mesh, without side-cars!", ["a", "mesh", "without", "side", "cars"]],
    ["HEDDLE_PORT=7012", ["heddle", "port", "7012"]],
    ["loadBalancer of HTTPServer", ["loadbalancer", "load", "balancer", "of", "httpserver"]],
    ["Café Ångström ﬁne", ["cafe", "angstrom", "fine"]],
    ["服务网格", ["服务网格"]],
    [" \t—🙂 ", []],
  ];
  for (const [text, words] of rows) {
    it(`${JSON.stringify(text)} has ${JSON.stringify(words)}`, () => assert.deepEqual(wordsOf(text), words));
  }

  it("retries is retry, ports is port, and status, mesh, class, gas and is stay", () => {
    assert.deepEqual(["retries", "ports", "status", "mesh", "class", "gas", "is"].map(singular), [
      "retry",
      "port",
      "status",
      "mesh",
      "class",
      "gas",
      "is",
    ]);
  });

  it("the hash of a text is the same for ever", () => {
    assert.deepEqual([hashOf(""), hashOf("mesh"), hashOf("mesh", 1)], [2872998923, 1254288810, 3817630992]);
  });
});

describe("vector: the built-in embedding", () => {
  const cosine = (a: string, b: string) => {
    const [one, other] = [embedHashed(a, 256), embedHashed(b, 256)];
    return one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
  };

  it("the vector of a text is the same for ever", () => {
    const vector = embedHashed("a mesh", 32);
    const found = Array.from(vector, (value, at) => [at, Number(value.toFixed(4))]).filter(([, value]) => value !== 0);
    assert.deepEqual(found, [
      [8, -0.954],
      [19, -0.233],
      [21, 0.1886],
    ]);
  });

  it("has length 1, and 0 for a text without a letter or digit", () => {
    assert.ok(Math.abs(Math.hypot(...embedHashed("Retries wait", 256)) - 1) < 1e-6);
    assert.equal(Math.hypot(...embedHashed("—!?", 256)), 0);
  });

  it("a misspelt word and another form of it are near, another word is not, and common words count little", () => {
    assert.ok(cosine("exponential", "exponental") > 0.4);
    assert.ok(cosine("configuration", "configure") > 0.4);
    assert.ok(Math.abs(cosine("exponential", "breaker")) < 0.2);
    assert.ok(cosine("the circuit of the breaker", "circuit breaker") > 0.8);
  });

  it("many long texts, embedded in the thread, have the vectors that short ones have", async () => {
    await using embedder = openEmbedder(undefined);
    const texts = Array.from({ length: 20 }, (_, at) => `text number ${at} `.repeat(100));
    const { vectors, dimensions, model } = await embedder.embed("built-in", texts, 64, new AbortController().signal);
    assert.deepEqual([dimensions, model], [64, "heddle-hashed-1"]);
    assert.deepEqual(
      vectors,
      texts.map((text) => embedHashed(text, 64)),
    );
  });
});

describe("vector: Embed and CreateEmbeddings", () => {
  const value = (json: Parameters<typeof fromJson>[1]) => fromJson(ValueSchema, json);

  it("Embed answers with one vector for each text, and refuses none and 31 dimensions", async () => {
    await using db = await freshDatabase();
    await using fixture = await serve(db);
    const client = fixture.as(asAnn);
    const { embeddings, model, dimensions } = await client.embed({ text: "a", texts: ["b", "c"], dimensions: 32 });
    assert.deepEqual([embeddings.length, model, dimensions], [3, "heddle-hashed-1", 32]);
    assert.deepEqual(embeddings[1]?.values, Array.from(embedHashed("b", 32)));
    await refused(client.embed({}), Code.InvalidArgument, "text");
    await refused(client.embed({ text: "a", dimensions: 31 }), Code.InvalidArgument, "dimensions");
  });

  it("CreateEmbeddings answers as OpenAI does, with numbers or base64", async () => {
    await using db = await freshDatabase();
    await using fixture = await serve(db);
    const client = fixture.as(asAnn);
    const ask = async (request: object) => JSON.parse(Buffer.from((await client.createEmbeddings(request)).data).toString());
    const numbers = await ask({ model: "heddle-hashed-1", input: value(["a mesh", "two"]), dimensions: 32 });
    assert.deepEqual(numbers, {
      object: "list",
      data: ["a mesh", "two"].map((text, index) => ({
        object: "embedding",
        index,
        embedding: Array.from(embedHashed(text, 32)),
      })),
      model: "heddle-hashed-1",
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
    const base64 = await ask({ input: value("a mesh"), encodingFormat: "base64", dimensions: 32 });
    const bytes = Buffer.from(base64.data[0].embedding, "base64");
    assert.deepEqual(new Float32Array(new Uint8Array(bytes).buffer), embedHashed("a mesh", 32));
    await refused(ask({ input: value([[1, 2]]) }), Code.InvalidArgument, "input[0]");
    await refused(ask({ input: value([]) }), Code.InvalidArgument, "input");
    await refused(ask({ model: "other", input: value("a") }), Code.NotFound);
  });
});
