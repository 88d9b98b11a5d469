import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDataFolder, type DataFolder, dataFolder, meshSecret, own, ownerOf } from "./data-folder.ts";

describe("data folder", () => {
  let path = "";
  let folder: DataFolder;

  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), "heddle-data-"));
    folder = dataFolder("/project", join(path, "data"));
    createDataFolder(folder);
  });

  afterEach(() => rmSync(path, { recursive: true }));

  it("is .heddle in the project when HEDDLE_DATA is unset or empty", () => {
    assert.equal(dataFolder("/project", undefined).path, "/project/.heddle");
    assert.equal(dataFolder("/project", "").path, "/project/.heddle");
  });

  it("has its socket elsewhere when the path is too long for one", () => {
    assert.equal(folder.controlSocket, join(folder.path, "control.sock"));
    const long = dataFolder("/project", `/tmp/${"x".repeat(120)}`);
    assert.ok(long.controlSocket.length < 100 && !long.controlSocket.startsWith(long.path));
  });

  it("makes a secret of 43 characters once, for its owner alone", () => {
    const secret = meshSecret(folder, undefined);
    assert.match(secret, /^[\w-]{43}$/);
    assert.equal(meshSecret(folder, undefined), secret);
    assert.equal(statSync(folder.secret).mode & 0o777, 0o600);
  });

  it("prefers the secret that is given", () => {
    assert.equal(meshSecret(folder, "given"), "given");
  });

  it("belongs to one supervisor at a time, and says who", () => {
    const release = own(folder);
    assert.equal(ownerOf(folder)?.pid, process.pid);
    assert.throws(() => own(folder), {
      message: `the platform is running already (pid ${process.pid}): see \`heddle status\`, or end it with \`heddle down\``,
    });
    release();
    assert.equal(ownerOf(folder), undefined);
  });

  it("is taken over from a supervisor that died, also when its id is another process's by now", () => {
    writeFileSync(folder.lock, JSON.stringify({ pid: process.pid, birth: "1" }));
    assert.equal(ownerOf(folder), undefined);
    const release = own(folder);
    assert.equal(ownerOf(folder)?.pid, process.pid);
    release();
  });
});
