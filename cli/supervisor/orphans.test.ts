import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { dataFolder } from "./data-folder.ts";
import { clearLeftovers, leftovers, recordProcesses } from "./leftovers.ts";
import { isRunning } from "./process-table.ts";

describe("a supervisor that is killed", () => {
  let folder = "";
  const started: ChildProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-orphans-"));
  });

  afterEach(() => {
    for (const child of started.splice(0)) child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  function run(script: string, env: Readonly<Record<string, string>> = {}): ChildProcess {
    const stdio = ["pipe", "pipe", "inherit"] as const;
    const path = join(import.meta.dirname, "../fixtures", script);
    const child = spawn(process.execPath, [path, folder], { stdio: [...stdio], env: { ...process.env, ...env }, detached: true });
    started.push(child);
    return child;
  }

  it("leaves no process behind after kill -9: each ends in order when its stdin ends", async () => {
    const journal = join(folder, "journal");
    const supervisor = run("supervisor.ts", { FAKE_JOURNAL: journal });
    assert.ok(supervisor.stdout);
    const [line] = (await once(createInterface({ input: supervisor.stdout }), "line")) as [string];
    const pids = JSON.parse(line) as number[];
    assert.deepEqual(pids.map(isRunning), [true, true]);
    supervisor.kill("SIGKILL");
    await until(() => !pids.some(isRunning));
    assert.deepEqual(readFileSync(journal, "utf8").trim().split("\n").slice(2).toSorted(), ["a-1 stopped", "b-1 stopped"]);
  });

  it("leaves a record by which the next command finds what has not ended yet, and ends it after its patience", async () => {
    const data = dataFolder(folder, folder);
    const stubborn = run("service.ts", { FAKE_MODE: "stubborn", HEDDLE_ADMIN_PORT: "0", FAKE_JOURNAL: join(folder, "journal") });
    await until(() => existsSync(join(folder, "journal")));
    const pid = stubborn.pid ?? 0;
    recordProcesses(data, [pid]);
    assert.deepEqual(leftovers(data), [pid]);
    const said: string[] = [];
    await clearLeftovers(data, 100, (text) => said.push(text));
    assert.deepEqual(said, ["waiting for 1 process of an earlier run to end"]);
    assert.equal(isRunning(pid), false);
  });

  it("does not take a process for a leftover that only has the id of one", () => {
    const data = dataFolder(folder, folder);
    recordProcesses(data, [process.pid]);
    assert.deepEqual(leftovers(data), [process.pid]);
    writeFileSync(data.processes, JSON.stringify([{ pid: process.pid, birth: "1" }]));
    assert.deepEqual(leftovers(data), []);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !condition(); await sleep(20)) assert.ok(Date.now() < end, "waited 15 s in vain");
}
