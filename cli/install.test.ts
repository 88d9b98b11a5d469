import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explain, installState, stampOf } from "./install.mjs";

describe("installState", () => {
  const pkg = { version: "1.0.0", integrity: "sha512-a" };
  const lock = JSON.stringify({ packages: { "": {}, "node_modules/a": pkg, "node_modules/b": { ...pkg, optional: true } } });
  const record = JSON.stringify({ packages: { "node_modules/a": pkg } });
  const seen = { stamp: stampOf(lock), kept: stampOf(lock), lock, record, present: true, node: true };
  const other = (packages: unknown) => JSON.stringify({ packages });
  const cases = [
    ["a stamp of this lock", {}, "fresh"],
    ["no node_modules", { present: false, node: false, kept: undefined, record: undefined }, "absent"],
    ["node_modules without Node, though stamped", { node: false }, "stale"],
    ["no stamp and no record: an install that was interrupted", { kept: undefined, record: undefined }, "stale"],
    [
      "a stamp of another lock, and npm's record of that one",
      { kept: stampOf("{}"), record: other({ "node_modules/z": pkg }) },
      "stale",
    ],
    ["no stamp, and npm's record is what the lock says", { kept: undefined }, "unstamped"],
    ["an old stamp, and npm's record is what the lock says", { kept: stampOf("{}") }, "unstamped"],
    [
      "no stamp, and a record of another version",
      { kept: undefined, record: other({ "node_modules/a": { ...pkg, version: "2.0.0" } }) },
      "stale",
    ],
    ["no stamp, and a record without a package", { kept: undefined, record: other({}) }, "stale"],
    ["no stamp, and a record that is cut off", { kept: undefined, record: record.slice(0, 20) }, "stale"],
  ] as const;
  for (const [title, change, expected] of cases) {
    it(`${title}: ${expected}`, () => assert.equal(installState({ ...seen, ...change }), expected));
  }
});

describe("explain", () => {
  for (const [output, start] of [
    ["npm error code ENOTFOUND", "The registry could not be reached"],
    ["npm error code EUSAGE", "package.json and package-lock.json do not belong together"],
    ["npm error code EACCES", "A folder could not be written"],
    ["npm error code ENOSPC", "The disk is full"],
    ["Error: spawn npm ENOENT", "npm was not found"],
    ["something else", "npm ci failed with exit code 1"],
  ] as const) {
    it(`${output}: ${start}`, () => assert.ok(explain(1, output).startsWith(start)));
  }
});

describe("install.mjs", () => {
  let folder = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-install-"));
    mkdirSync(join(folder, "cli"));
    copyFileSync(join(import.meta.dirname, "install.mjs"), join(folder, "cli/install.mjs"));
    writeFileSync(join(folder, "package-lock.json"), "{}");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs the script with an npm that does what `body` says and leaves its words in the file `calls`. */
  function run(body: string) {
    const npm = join(folder, "npm.js");
    const prelude = 'const fs = require("node:fs"); fs.appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");';
    writeFileSync(npm, `${prelude}\n${body}`);
    const env = { ...process.env, npm_node_execpath: process.execPath, npm_execpath: npm };
    const done = spawnSync(process.execPath, [join(folder, "cli/install.mjs")], { env, encoding: "utf8" });
    const calls = existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").trim().split("\n").length : 0;
    return { code: done.status, out: done.stdout, err: done.stderr, calls };
  }

  const works = 'fs.mkdirSync("node_modules/.bin", { recursive: true }); fs.writeFileSync("node_modules/.bin/node", "");';

  it("installs when node_modules is absent, in one line, and not again", () => {
    assert.deepEqual(run(works), {
      code: 0,
      out: "Installing the locked dependencies (once, about a minute)\n",
      err: "",
      calls: 1,
    });
    assert.deepEqual(run(works), { code: 0, out: "", err: "", calls: 1 });
  });

  it("leaves a link to the heddle command where npx looks first, and puts it back when it is gone", () => {
    const link = join(folder, "node_modules/.bin/heddle");
    run(works);
    assert.equal(readlinkSync(link), "../../cli/heddle.mjs");
    rmSync(link);
    assert.equal(run(works).calls, 1);
    assert.equal(readlinkSync(link), "../../cli/heddle.mjs");
  });

  it("installs again when package-lock.json changed", () => {
    run(works);
    writeFileSync(join(folder, "package-lock.json"), '{"lockfileVersion":3}');
    assert.equal(run(works).calls, 2);
    assert.equal(run(works).calls, 2);
  });

  it("explains an npm ci that failed, hands on its exit code, and tries again the next time", () => {
    const { code, err } = run(`${works} console.error("npm error code ENOTFOUND"); process.exit(7);`);
    assert.equal(code, 7);
    assert.match(err, /npm error code ENOTFOUND\n\nThe registry could not be reached/);
    assert.equal(run(works).calls, 2);
  });

  it("says so when npm left out the install script that brings Node", () => {
    const { code, err } = run('fs.mkdirSync("node_modules");');
    assert.equal(code, 1);
    assert.match(err, /ignore-scripts/);
  });
});
