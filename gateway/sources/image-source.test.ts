import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ContractError } from "../contracts.ts";
import { until } from "../fixtures/harness.ts";
import { madeImage } from "../fixtures/made-contract.ts";
import { openImageSource } from "./image-source.ts";
import type { ContractSource } from "./source.ts";
import { serviceNames } from "./symbols.ts";

const image = (name: string) => madeImage({ name, methods: { Get: undefined } });

describe("gateway/sources/image-source", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-image-"));
    path = join(folder, "contracts.binpb");
    writeFileSync(path, image("a.v1.A"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Everything that the source tells, as the names of services or as mistakes. */
  function heard(source: ContractSource): string[] {
    const told: string[] = [];
    source.subscribe((next) => told.push(next instanceof ContractError ? next.mistakes.join() : namesOf(source)));
    return told;
  }
  const namesOf = (source: ContractSource) => source.current.files.flatMap(serviceNames).join();

  it("follows a file that is renamed over it, again and again", async () => {
    using source = await openImageSource(path, { lookMs: 60_000, settleMs: 5 });
    assert.equal(namesOf(source), "a.v1.A");
    const told = heard(source);
    for (const name of ["b.v1.B", "c.v1.C"]) {
      writeFileSync(join(folder, "next"), image(name));
      renameSync(join(folder, "next"), path);
      await until(() => told.includes(name));
    }
    assert.deepEqual(told, ["b.v1.B", "c.v1.C"]);
  });

  it("follows a file that is written in place, and reads no half of it", async () => {
    using source = await openImageSource(path, { settleMs: 20 });
    const told = heard(source);
    const bytes = image("b.v1.B");
    writeFileSync(path, bytes.subarray(0, 40));
    writeFileSync(path, bytes);
    await until(() => told.length > 0);
    assert.deepEqual(told, ["b.v1.B"]);
  });

  it("follows a link that is swapped, as mounted volumes do it", async () => {
    writeFileSync(join(folder, "one"), image("a.v1.A"));
    writeFileSync(join(folder, "two"), image("b.v1.B"));
    const link = join(folder, "link");
    symlinkSync(join(folder, "one"), link);
    using source = await openImageSource(link, { settleMs: 5 });
    const told = heard(source);
    symlinkSync(join(folder, "two"), join(folder, "other"));
    renameSync(join(folder, "other"), link);
    await until(() => told.length > 0);
    assert.deepEqual(told, ["b.v1.B"]);
  });

  it("sees a change where the system tells of none, by looking", async () => {
    // The folder of the link is watched, and the file changes in another one.
    const elsewhere = mkdtempSync(join(tmpdir(), "heddle-image-"));
    try {
      writeFileSync(join(elsewhere, "image"), image("a.v1.A"));
      const link = join(folder, "link");
      symlinkSync(join(elsewhere, "image"), link);
      using source = await openImageSource(link, { settleMs: 5, lookMs: 20 });
      const told = heard(source);
      writeFileSync(join(elsewhere, "image"), image("b.v1.B"));
      await until(() => told.length > 0);
      assert.deepEqual(told, ["b.v1.B"]);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it("keeps what it has when the file goes or turns bad, says why, and follows it when it comes back", async () => {
    using source = await openImageSource(path, { settleMs: 5 });
    const told = heard(source);
    rmSync(path);
    await until(() => told.length === 1);
    assert.match(told[0] ?? "", /contracts\.binpb: ENOENT/);
    writeFileSync(path, "nope");
    await until(() => told.length === 2);
    assert.match(told[1] ?? "", /contracts\.binpb: expected a buf image or FileDescriptorSet .* got 4 bytes/);
    assert.equal(namesOf(source), "a.v1.A");
    writeFileSync(path, image("b.v1.B"));
    await until(() => told.length === 3);
    assert.equal(told[2], "b.v1.B");
  });

  it("does not open without an image", async () => {
    await assert.rejects(openImageSource(join(folder, "nope")), ContractError);
  });
});
