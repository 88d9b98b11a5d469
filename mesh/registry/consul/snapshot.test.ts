import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { parseSnapshot, Snapshot } from "./snapshot.ts";

const answer = { status: 200, index: "7", hash: undefined, body: "[]" };
const week = 7 * 24 * 3_600_000;

describe("the registry's snapshot", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "heddle-snapshot-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("is read back by the next run, from a folder that it made, and leaves no other file", async () => {
    const file = join(folder, "deep/snapshot.json");
    const log = pino({ level: "silent" });
    const snapshot = new Snapshot(file, log, 0);
    snapshot.put("/v1/health/service/a", { answer, confirmedAt: 5 });
    await snapshot.flush();
    assert.equal(new Snapshot(file, log, 10).entry("/v1/health/service/a")?.confirmedAt, 5);
    assert.deepEqual(await readdir(join(folder, "deep")), ["snapshot.json"]);
  });

  it("remembers nothing without a file", async () => {
    const snapshot = new Snapshot(undefined, pino({ level: "silent" }), 0);
    snapshot.put("/a", { answer, confirmedAt: 5 });
    await snapshot.flush();
    assert.equal(snapshot.entry("/a"), undefined);
  });

  it("does not fail when it cannot be written: a folder is in its place", async () => {
    const snapshot = new Snapshot(folder, pino({ level: "silent" }), 0);
    snapshot.put("/a", { answer, confirmedAt: 5 });
    await snapshot.flush();
    assert.deepEqual(await readdir(folder), []);
  });

  const unreadable = [undefined, "", "{", "null", "[]", '{"version":2,"entries":{}}', '{"version":1}'];
  for (const text of unreadable) {
    it(`is empty when its text is ${JSON.stringify(text)}`, () => assert.equal(parseSnapshot(text, 0).size, 0));
  }

  it("leaves out entries that are older than a week or not entries", () => {
    const entries = {
      "/old": { answer, confirmedAt: 0 },
      "/new": { answer, confirmedAt: 1 },
      "/odd": null,
      "/half": { confirmedAt: 1 },
    };
    assert.deepEqual([...parseSnapshot(JSON.stringify({ version: 1, entries }), week + 1).keys()], ["/new"]);
  });
});
