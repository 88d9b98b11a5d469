/** Work that is done again and again in the background. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";

/** Does `work` every `everyMs` milliseconds, never twice at a time; what it throws goes into the log. Disposing waits for its end. */
export function startPeriodic(what: string, everyMs: number, work: () => Promise<unknown>, log: Logger): AsyncDisposable {
  const stop = new AbortController();
  const { signal } = stop;
  const running = runWithoutContext(async () => {
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      // An outage shows in the health check; here it would only fill the log.
      await work().catch((error: unknown) => log.debug({ err: error, what }, "background work failed; it is tried again"));
    }
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
