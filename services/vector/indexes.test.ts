import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Embedding } from "#gen/vector/v1/collection_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { openIndexHome } from "./index-home.ts";
import { purge } from "./item-store.ts";
import { asAnn, eventually, type Fixture, freshDatabase, freshFolder, serve } from "./vector.fixture.ts";

const line = { name: "line", dimensions: 2, embedding: Embedding.NONE };

describe("vector: indexes that follow the database", function () {
  this.timeout(60_000);
  let db: Database;
  let home: { readonly path: string } & AsyncDisposable;
  beforeEach(async () => {
    [db, home] = await Promise.all([freshDatabase(), freshFolder()]);
  });
  afterEach(async () => {
    await home[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  /** Items on the unit circle, `from` to `to` degrees. */
  const degrees = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => {
      const angle = ((from + at) * Math.PI) / 180;
      return { id: `d${from + at}`, vector: [Math.cos(angle), Math.sin(angle)] };
    });
  const nearest = async (fixture: Fixture, degree: number) => {
    const vector = degrees(degree, degree + 1)[0]?.vector ?? [];
    const { results } = await fixture.as(asAnn).search({ collection: "line", vector, topK: 1 });
    return results[0]?.item?.id;
  };
  const fill = async (fixture: Fixture) => {
    await fixture.as(asAnn).createCollection({ collection: line });
    await fixture.as(asAnn).batchUpsertItems({ collection: "line", items: degrees(0, 90) });
  };

  it("two instances see each other's changes", async () => {
    await using one = await serve(db);
    await using other = await serve(db);
    await fill(one);
    assert.deepEqual([await nearest(one, 40), await nearest(other, 40)], ["d40", "d40"]);
    await other.as(asAnn).deleteItems({ collection: "line", ids: ["d40"] });
    await other.as(asAnn).batchUpsertItems({ collection: "line", items: degrees(100, 200) });
    assert.equal(await nearest(other, 150), "d150");
    await eventually("the change of the other", async () => (await nearest(one, 150)) === "d150");
    assert.notEqual(await nearest(one, 40), "d40");
  });

  it("after a restart it finds what it found, and what others changed meanwhile", async () => {
    {
      await using first = await serve(db, { dataDir: home.path });
      await fill(first);
      assert.equal(await nearest(first, 40), "d40");
    }
    {
      await using meanwhile = await serve(db);
      await meanwhile.as(asAnn).deleteItem({ collection: "line", id: "d40" });
      await meanwhile.as(asAnn).batchUpsertItems({ collection: "line", items: degrees(100, 200) });
    }
    await using again = await serve(db, { dataDir: home.path });
    await again.indexes.warm;
    const [{ state } = assert.fail()] = (await again.indexes.states()).values();
    assert.deepEqual([state.rows, state.damage], [189, undefined]);
    assert.deepEqual([await nearest(again, 150), await nearest(again, 39)], ["d150", "d39"]);
    assert.notEqual(await nearest(again, 40), "d40");
  });

  for (const what of ["gone", "damaged"] as const) {
    it(`files that are ${what} are read from the database again`, async () => {
      {
        await using first = await serve(db, { dataDir: home.path });
        await fill(first);
        assert.equal(await nearest(first, 40), "d40");
      }
      const [id = assert.fail()] = readdirSync(join(home.path, "index-0"));
      const folder = join(home.path, "index-0", id);
      if (what === "gone") rmSync(folder, { recursive: true });
      else writeFileSync(join(folder, "rows.log"), "not a log");
      await using again = await serve(db, { dataDir: home.path });
      assert.deepEqual([await nearest(again, 40), await nearest(again, 89)], ["d40", "d89"]);
    });
  }

  it("an index that was away for longer than removals are remembered is read anew, and what was removed is not in it", async () => {
    {
      await using first = await serve(db, { dataDir: home.path });
      await fill(first);
      assert.equal(await nearest(first, 40), "d40");
    }
    {
      await using meanwhile = await serve(db);
      await meanwhile.as(asAnn).deleteItem({ collection: "line", id: "d40" });
    }
    assert.equal(await purge(db, Date.now() + 1000), 1);
    await using again = await serve(db, { dataDir: home.path });
    assert.equal(await nearest(again, 39), "d39");
    const [{ state } = assert.fail()] = (await again.indexes.states()).values();
    assert.equal(state.rows, 89);
  });

  it("files of a collection that was deleted meanwhile are taken away", async () => {
    {
      await using first = await serve(db, { dataDir: home.path });
      await fill(first);
      assert.equal(await nearest(first, 40), "d40");
    }
    await db.query("DELETE FROM collection");
    await using again = await serve(db, { dataDir: home.path });
    await again.indexes.warm;
    assert.deepEqual(readdirSync(join(home.path, "index-0")), ["pid"]);
  });

  it("indexes that do not fit together take turns, and one that is too large is refused", async () => {
    await using small = await serve(db, { maxBytes: 3_000_000 });
    const client = small.as(asAnn);
    const wide = (from: number, to: number) =>
      degrees(from, to).map(({ id, vector }) => ({ id, vector: [...vector, ...Array.from({ length: 254 }, () => 0)] }));
    for (const name of ["a", "b", "c"]) {
      await client.createCollection({ collection: { ...line, dimensions: 256, name } });
      await client.batchUpsertItems({ collection: name, items: wide(0, 90) });
      await client.search({ collection: name, vector: Array.from({ length: 256 }, () => 1) });
    }
    const [{ vector } = assert.fail()] = wide(89, 90);
    for (const name of ["a", "b", "c", "a"]) {
      const { results } = await client.search({ collection: name, vector, topK: 1 });
      assert.equal(results[0]?.item?.id, "d89");
    }
    const open = [...(await small.indexes.states()).values()].map(({ collection }) => collection.name);
    assert.ok(open.includes("a") && open.length < 3, open.join());
    for (const from of [1000, 1400]) await client.batchUpsertItems({ collection: "b", items: wide(from, from + 400) });
    await client.search({ collection: "a", vector });
    await client.search({ collection: "c", vector });
    await assert.rejects(client.search({ collection: "b", vector }), /takes some \d+ MB, of 3 MB for all/);
  });

  it("each process has a folder of its own, and one that died leaves its own to the next", async () => {
    const first = openIndexHome(home.path);
    const second = openIndexHome(home.path);
    assert.deepEqual([first.path, second.path], [join(home.path, "index-0"), join(home.path, "index-1")]);
    first[Symbol.dispose]();
    // No process has this number: the largest is 2^22.
    writeFileSync(join(home.path, "index-0", "pid"), "4194305");
    using third = openIndexHome(home.path);
    assert.equal(third.path, join(home.path, "index-0"));
    second[Symbol.dispose]();
  });
});
