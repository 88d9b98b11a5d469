import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { CollectionIndex } from "./collection-index.ts";
import type { Mode } from "./fusion.ts";
import { embedHashed } from "./hashed-embedding.ts";
import { rowWords } from "./text-index.ts";

/** Sections of the project's documents as they stood one day, and questions with the sections that answer them. */
interface Labelled {
  readonly sections: readonly { readonly id: string; readonly text: string }[];
  readonly queries: readonly { readonly query: string; readonly sections: readonly string[] }[];
}

const dimensions = 256;

describe("vector: 47 questions about 88 sections of the project's documents", () => {
  let labelled: Labelled;
  let index: CollectionIndex;
  before(async () => {
    labelled = JSON.parse(await readFile(new URL("./retrieval.fixture.json", import.meta.url), "utf8"));
    index = new CollectionIndex({ dimensions, metric: "cosine" });
    index.apply(
      labelled.sections.map(({ text }, key) => {
        return { key, removed: false, vector: embedHashed(text, dimensions), words: rowWords(text), metadata: "" };
      }),
    );
  });

  /** The means of nDCG@10, of the reciprocal rank of the first right section, and of the part of the right ones among the first five. */
  function measure(mode: Mode) {
    const { queries, sections } = labelled;
    let [gain, reciprocal, recall] = [0, 0, 0];
    for (const { query, sections: right } of queries) {
      const vector = embedHashed(query, dimensions);
      const plain = { condition: undefined, textWeight: 0.5, effort: 400, exact: false, topK: 10 };
      const found = index.search({ ...plain, mode, vector, text: query }).map(({ key }) => sections[key]?.id ?? "");
      const gainOf = (ids: readonly string[]) =>
        ids.reduce((sum, id, at) => sum + (right.includes(id) ? 1 / Math.log2(at + 2) : 0), 0);
      gain += gainOf(found) / gainOf(right);
      const first = found.findIndex((id) => right.includes(id));
      reciprocal += first < 0 ? 0 : 1 / (first + 1);
      recall += found.slice(0, 5).filter((id) => right.includes(id)).length / right.length;
    }
    const mean = (sum: number) => sum / queries.length;
    const figures = { ndcg: mean(gain), mrr: mean(reciprocal), recall: mean(recall) };
    const [ndcg, mrr, at5] = [figures.ndcg, figures.mrr, figures.recall].map((value) => value.toFixed(3));
    console.log(`      ${mode.padEnd(6)}: nDCG@10 ${ndcg}, MRR ${mrr}, recall@5 ${at5}`);
    return figures;
  }

  it("every question names sections that are there", () => {
    const ids = new Set(labelled.sections.map(({ id }) => id));
    assert.deepEqual(
      labelled.queries.flatMap(({ sections }) => sections.filter((id) => !ids.has(id))),
      [],
    );
    assert.deepEqual([labelled.queries.length, ids.size], [47, 88]);
  });

  it("hybrid search is better than vectors alone and than words alone, by each measure", () => {
    const [vector, text, hybrid] = [measure("vector"), measure("text"), measure("hybrid")];
    for (const measureName of ["ndcg", "mrr", "recall"] as const) {
      for (const alone of [vector, text]) {
        assert.ok(
          hybrid[measureName] > alone[measureName],
          `${measureName}: ${hybrid[measureName]}, alone ${alone[measureName]}`,
        );
      }
    }
  });
});
