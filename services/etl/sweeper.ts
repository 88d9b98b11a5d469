/** Deletes what nobody needs any more: uploads, outputs and rejects whose time is up, staging tables of jobs that have ended, files of nobody. */
import { stat } from "node:fs/promises";
import type { Logger } from "pino";
import type { Database } from "#mesh/storage/database.ts";
import type { Folder } from "./folder.ts";
import { expireJobs, knownOutputs } from "./expiry-store.ts";
import { dropStaging, endedWithStaging } from "./staging-store.ts";
import { dropUpload, expiredUploads, knownUploads } from "./upload-store.ts";

/** What the sweeper works with. */
export interface SweeperParts {
  readonly db: Database;
  readonly folder: Folder;
  readonly log: Logger;
  readonly clock: () => number;
}

/** A running sweeper. */
export interface Sweeper extends AsyncDisposable {
  /** Sweeps now; what cannot be done is logged and tried again later. */
  sweep(): Promise<void>;
}

/** Milliseconds between two sweeps, and the age from which a file that is on no record is nobody's. */
const [everyMs, strayMs] = [30_000, 3_600_000];

/** How many things are deleted at a time. */
const limit = 100;

/** Starts to sweep. */
export function startSweeper(parts: SweeperParts): Sweeper {
  const { db, folder, log, clock } = parts;
  let running: Promise<void> | undefined;

  const tasks: Readonly<Record<string, () => Promise<void>>> = {
    async staging() {
      for (const { id, stages } of await endedWithStaging(db, limit)) {
        // One that still copies into it finds its claim lost, and lets go.
        await db.transaction((tx) => dropStaging(tx, id, stages), { timeoutMs: 5000, attempts: 1 });
      }
    },
    async uploads() {
      for (const id of await expiredUploads(db, folder.id, clock(), limit)) {
        if (await db.transaction((tx) => dropUpload(tx, id))) await folder.removeUpload(id);
      }
    },
    async jobs() {
      for (const id of await expireJobs(db, folder.id, clock(), limit)) await folder.removeOutput(id);
    },
    async strays() {
      await stray(await folder.uploads(), (ids) => knownUploads(db, ids), folder.uploadFile, folder.removeUpload);
      await stray(await folder.outputs(), (ids) => knownOutputs(db, ids), folder.outputFile, folder.removeOutput);
    },
  };

  async function stray(
    ids: readonly string[],
    known: (ids: readonly string[]) => Promise<ReadonlySet<string>>,
    fileOf: (id: string) => string,
    remove: (id: string) => Promise<void>,
  ): Promise<void> {
    const kept = await known(ids);
    for (const id of ids) {
      if (kept.has(id)) continue;
      const age = clock() - ((await stat(fileOf(id)).catch(() => undefined))?.mtimeMs ?? 0);
      if (age > strayMs) await remove(id);
    }
  }

  const sweepOnce = async (): Promise<void> => {
    for (const [what, task] of Object.entries(tasks)) {
      await task().catch((err: unknown) => log.warn({ err }, `cannot sweep ${what}; trying again later`));
    }
  };
  const sweep = (): Promise<void> => {
    running ??= sweepOnce().finally(() => {
      running = undefined;
    });
    return running;
  };
  const timer = setInterval(() => void sweep(), everyMs);
  return {
    sweep,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
