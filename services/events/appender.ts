/**
 * Group commit: what is published to a topic while one transaction runs goes into the next one together, so that the cost of a commit
 * is shared by all who wait for it.
 */
import type { Logger } from "pino";
import { currentContext, runWithoutContext } from "#mesh/context.ts";
import { alreadyExists, canceled, from, resourceExhausted } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Appended, Draft } from "./event.ts";
import { appendEvents, sizeOf } from "./event-store.ts";

/** Stores events. */
export interface Appender {
  /**
   * Stores drafts, all or none, in their order and behind all that was given before for the topic. Settles when they are committed.
   *
   * @throws ALREADY_EXISTS when a request id came before with other content: nothing of the call is stored then, but those that were
   * repeated right stay stored. RESOURCE_EXHAUSTED when too much waits. UNAVAILABLE when the database is away.
   */
  append(topicId: number, drafts: readonly Draft[]): Promise<Appended[]>;
}

/** What an appender works with. */
export interface AppenderOptions {
  readonly db: Database;
  readonly log: Logger;
  readonly clock: () => number;
  /** Positions per table of the log. Default 1,000,000. */
  readonly segment?: number;
}

/** One transaction holds no more than this, unless one call alone does. */
const maxBatch = { events: 1000, bytes: 4_000_000 };

/** More than this does not wait for a topic. */
const maxWaiting = { events: 20_000, bytes: 64_000_000 };

interface Waiting {
  readonly drafts: readonly Draft[];
  readonly bytes: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (appended: Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly queue: Waiting[];
  running: boolean;
}

/** An appender over `db`. Several processes may have one for the same topics. */
export function createAppender({ db, log, clock, segment = 1_000_000 }: AppenderOptions): Appender {
  const lanes = new Map<number, Lane>();
  const waiting = { events: 0, bytes: 0 };

  async function run(topicId: number, lane: Lane): Promise<void> {
    lane.running = true;
    for (let batch = take(lane.queue, drop); batch.length > 0; batch = take(lane.queue, drop)) {
      try {
        const drafts = batch.flatMap((one) => one.drafts);
        const placed = await appendEvents(db, topicId, drafts, { now: clock(), segment });
        let at = 0;
        for (const one of batch) {
          const own = placed.slice(at, at + one.drafts.length);
          at += one.drafts.length;
          const wrong = one.drafts.find((draft, index) => own[index]?.contentHash !== draft.contentHash);
          if (wrong === undefined) one.resolve(own);
          else one.reject(alreadyExists(`request_id ${JSON.stringify(wrong.requestId)} came before with other content`));
        }
      } catch (error) {
        log.debug({ err: error }, "an append failed");
        for (const one of batch) one.reject(from(error));
      }
      for (const one of batch) count(one, -1);
    }
    lane.running = false;
    lanes.delete(topicId);
  }

  /** Nobody waits for it any more, so it need not be stored. */
  function drop(gone: Waiting): void {
    count(gone, -1);
    gone.reject(canceled());
  }

  function count({ drafts, bytes }: Waiting, sign: 1 | -1): void {
    waiting.events += sign * drafts.length;
    waiting.bytes += sign * bytes;
  }

  return {
    append(topicId, drafts) {
      const bytes = drafts.reduce((sum, draft) => sum + sizeOf(draft), 0);
      if (waiting.events >= maxWaiting.events || waiting.bytes >= maxWaiting.bytes) {
        throw resourceExhausted("too many events wait to be stored", 500);
      }
      const { promise, resolve, reject } = Promise.withResolvers<Appended[]>();
      const one = { drafts, bytes, signal: currentContext()?.signal, resolve, reject };
      const lane = lanes.get(topicId) ?? { queue: [], running: false };
      lanes.set(topicId, lane);
      lane.queue.push(one);
      count(one, 1);
      // The transaction is everybody's: it must not end with the call that happens to start it.
      if (!lane.running) runWithoutContext(() => void run(topicId, lane));
      return promise;
    },
  };
}

/** The next calls that fit into one transaction: at least one if any wait, none whose request id is in it already. */
function take(queue: Waiting[], drop: (gone: Waiting) => void): Waiting[] {
  const batch: Waiting[] = [];
  const seen = new Set<string>();
  let [events, bytes] = [0, 0];
  for (let next = queue[0]; next !== undefined; next = queue[0]) {
    if (next.signal?.aborted === true) {
      queue.shift();
      drop(next);
      continue;
    }
    const ids = next.drafts.flatMap(({ requestId, producer }) => (requestId === undefined ? [] : `${producer} ${requestId}`));
    const fits = events + next.drafts.length <= maxBatch.events && bytes + next.bytes <= maxBatch.bytes;
    if (batch.length > 0 && (!fits || ids.some((id) => seen.has(id)))) break;
    for (const id of ids) seen.add(id);
    events += next.drafts.length;
    bytes += next.bytes;
    queue.shift();
    batch.push(next);
  }
  return batch;
}
