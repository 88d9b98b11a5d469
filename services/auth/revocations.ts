/** The sessions and API keys whose access tokens do not count any more, in memory, and those who want to hear of them. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { clockSkewMs, sessionTokenMs } from "./access-token.ts";
import { insertRevocations, listRevocations, type Revocation, revocationChannel } from "./session-store.ts";

/** Who hears; a batch never blocks the sender. */
type Subscriber = (batch: readonly Revocation[]) => void;

/** The same set in every instance: each writes to the database, NOTIFY tells the others, a lost connection means reading all anew. */
export class Revocations {
  readonly #db: Database;
  readonly #log: Logger;
  readonly #clock: () => number;
  readonly #ended = new Map<string, number>();
  readonly #subscribers = new Set<Subscriber>();
  /** Ends every stream of `watch` when the service stops. */
  readonly #closed = new AbortController();

  private constructor(db: Database, log: Logger, clock: () => number) {
    this.#db = db;
    this.#log = log;
    this.#clock = clock;
  }

  /** Reads the set and follows it until `scope` ends. */
  static async open(db: Database, log: Logger, clock: () => number, scope: AsyncDisposableStack): Promise<Revocations> {
    const set = new Revocations(db, log, clock);
    const reload = () => void set.#load().catch((err: unknown) => log.warn({ err }, "cannot read the revocations"));
    scope.use(await db.listen(revocationChannel, (payload) => set.#hear(payload), reload));
    await set.#load();
    scope.defer(() => set.#closed.abort());
    return set;
  }

  /** Whether tokens of this session or API key are refused. */
  has(sessionId: string): boolean {
    return this.#ended.has(sessionId);
  }

  /** Ends the tokens of `sessionIds`, in the transaction that ends the sessions themselves. Hand the answer to `publish` after it. */
  async revoke(tx: Queryable, sessionIds: readonly string[]): Promise<Revocation[]> {
    // No token lives longer, and one may just be in the making.
    const forgetTime = this.#clock() + sessionTokenMs + clockSkewMs;
    const revocations = sessionIds.map((sessionId) => ({ sessionId, forgetTime }));
    await insertRevocations(tx, revocations);
    return revocations;
  }

  /** After the commit: counts here at once, and is on its way to the subscribers when this settles, without waiting for NOTIFY. */
  async publish(revocations: readonly Revocation[]): Promise<void> {
    if (revocations.length === 0) return;
    this.#add(revocations);
    // What the streams were just given is written before the answer to the call that caused it.
    await nextTurn();
  }

  /** First all that matter, maybe none, then each batch as it comes; ends with `signal` or the service. */
  async *watch(signal: AbortSignal): AsyncGenerator<readonly Revocation[]> {
    const queue: (readonly Revocation[])[] = [];
    let wake = () => {};
    const subscriber: Subscriber = (batch) => {
      queue.push(batch);
      wake();
    };
    const stop = () => wake();
    this.#subscribers.add(subscriber);
    signal.addEventListener("abort", stop);
    this.#closed.signal.addEventListener("abort", stop);
    try {
      this.#forget();
      queue.unshift(this.#all());
      while (!signal.aborted && !this.#closed.signal.aborted) {
        const batch = queue.shift();
        if (batch !== undefined) yield batch;
        else {
          await new Promise<void>((settle) => {
            wake = settle;
          });
        }
      }
    } finally {
      this.#subscribers.delete(subscriber);
      signal.removeEventListener("abort", stop);
      this.#closed.signal.removeEventListener("abort", stop);
    }
  }

  #all(): Revocation[] {
    return [...this.#ended].map(([sessionId, forgetTime]) => ({ sessionId, forgetTime }));
  }

  #hear(payload: string): void {
    const [sessionId = "", forgetTime = ""] = payload.split(" ");
    if (sessionId === "" || !Number.isFinite(Number(forgetTime))) {
      this.#log.warn({ payload }, "not understood: a revocation from another instance");
      return;
    }
    this.#add([{ sessionId, forgetTime: Number(forgetTime) }]);
  }

  async #load(): Promise<void> {
    this.#forget();
    this.#add(await listRevocations(this.#db, this.#clock()));
  }

  #add(revocations: readonly Revocation[]): void {
    const fresh = revocations.filter(({ sessionId, forgetTime }) => (this.#ended.get(sessionId) ?? 0) < forgetTime);
    if (fresh.length === 0) return;
    for (const { sessionId, forgetTime } of fresh) this.#ended.set(sessionId, forgetTime);
    for (const subscriber of this.#subscribers) subscriber(fresh);
  }

  #forget(): void {
    const now = this.#clock();
    for (const [sessionId, forgetTime] of this.#ended) if (forgetTime <= now) this.#ended.delete(sessionId);
  }
}
