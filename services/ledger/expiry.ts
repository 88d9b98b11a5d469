/** Ends holds whose time has come. Every instance does it: a hold that another has ended stays as it is. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import type { Database } from "#mesh/storage/database.ts";
import { dueHolds } from "./history-store.ts";
import type { Writer } from "./writer.ts";

/** What the sweep works with. */
export interface ExpiryOptions {
  readonly db: Database;
  readonly writer: Writer;
  readonly log: Logger;
  readonly clock: () => number;
  /** Milliseconds between looks. */
  readonly everyMs: number;
}

/** Starts to look for holds that are due. Disposing waits for the look that is going on. */
export function startExpiry(options: ExpiryOptions): AsyncDisposable {
  const stop = new AbortController();
  const running = runWithoutContext(() => sweepUntil(stop.signal, options));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Ends the holds that are due at this moment, and answers how many there were. */
export async function expireDue({ db, writer, clock }: ExpiryOptions): Promise<number> {
  const due = await dueHolds(db, clock());
  await Promise.all(
    due.map((holdId) => writer.submit({ action: { type: "expire", holdId }, may: () => true, request: undefined })),
  );
  return due.length;
}

async function sweepUntil(signal: AbortSignal, options: ExpiryOptions): Promise<void> {
  while (!signal.aborted) {
    // Captured in the last moment, or the database is away: the next look tells.
    await expireDue(options).catch((error: unknown) => options.log.debug({ err: error }, "holds were not ended"));
    await sleep(options.everyMs, undefined, { signal }).catch(() => undefined);
  }
}
