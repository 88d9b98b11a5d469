import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import type { Logger } from "pino";
import { from } from "#mesh/errors.ts";
import type { EventSource, SourceEvent } from "./event-source.ts";
import { waitAfter } from "./handling-decision.ts";

/** What a committer works with. */
export interface CommitterOptions {
  readonly source: EventSource;
  /** Aborts at the end of the stream that the events came from. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly random: () => number;
}

/**
 * Commits the offsets of handled events while others are being handled: one commit at a time, of the latest event of each partition, so that a
 * slow answer delays none. What is not committed at the end comes again, and is known.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #due = new Map<number, SourceEvent>();
  #busy = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** The event, and all before it in its partition, are handled. */
  done(event: SourceEvent): void {
    this.#due.set(event.partition, event);
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    const { source, signal, log, random } = this.#options;
    this.#busy = true;
    for (let failures = 0; !signal.aborted; ) {
      const [next] = this.#due.values();
      if (next === undefined) break;
      this.#due.delete(next.partition);
      try {
        await source.commit(next, signal);
        failures = 0;
      } catch (error) {
        // Another member reads the partition now: it gets the event again, and knows it.
        if (from(error).code === Code.Aborted) continue;
        failures += 1;
        log.debug({ err: error }, "an offset is to be committed later");
        if (!this.#due.has(next.partition)) this.#due.set(next.partition, next);
        await sleep(waitAfter(failures, random()), undefined, { signal }).catch(() => undefined);
      }
    }
    this.#busy = false;
  }
}
