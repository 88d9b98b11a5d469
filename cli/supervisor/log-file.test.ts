import assert from "node:assert/strict";
import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { appendNote, openLogFile, rotate } from "./log-file.ts";

describe("log file", () => {
  let folder = "";
  let path = "";
  let fd = 0;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-log-"));
    path = join(folder, "a-1.log");
    fd = openLogFile(path);
  });

  afterEach(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  const limits = { maxBytes: 10, keep: 2 };

  it("stays as it is up to its limit of 10 bytes", () => {
    writeSync(fd, "123456789\n");
    assert.equal(rotate(path, limits), false);
    assert.equal(readFileSync(path, "utf8"), "123456789\n");
  });

  it("is copied and emptied beyond it, while the process that writes holds it open", () => {
    writeSync(fd, "the first line\n");
    assert.equal(rotate(path, limits), true);
    writeSync(fd, "more\n");
    assert.equal(readFileSync(`${path}.1`, "utf8"), "the first line\n");
    assert.equal(readFileSync(path, "utf8"), "more\n");
  });

  it("keeps two older ones, the latest as .1", () => {
    for (const line of ["the first line\n", "the second line\n", "the third line\n"]) {
      writeSync(fd, line);
      rotate(path, limits);
    }
    assert.deepEqual(readdirSync(folder).toSorted(), ["a-1.log", "a-1.log.1", "a-1.log.2"]);
    assert.equal(readFileSync(`${path}.1`, "utf8"), "the third line\n");
    assert.equal(readFileSync(`${path}.2`, "utf8"), "the second line\n");
  });

  it("takes the supervisor's notes as lines of their own", () => {
    appendNote(path, "starts again now", 0);
    const line = { level: "warn", time: "1970-01-01T00:00:00.000Z", service: "supervisor", msg: "starts again now" };
    assert.equal(readFileSync(path, "utf8"), `${JSON.stringify(line)}\n`);
  });
});
