/**
 * Keeps outside programs registered. What is to be registered stands in the registry's own key-value store, so that every instance of
 * this service, and the next start, knows it:
 *
 *   heddle/discovery/kept              says that the store is the one that was written to
 *   heddle/discovery/outside/<id>      a program, as outsideText writes it
 *
 * The store alone decides: a call writes there, and what the watch of it tells is done. A store that had the first key and has it no
 * more has lost its memory (a registry in development mode does at each restart) and is written again from what was known, the first
 * key last: until it is there, what the store lacks was not removed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { resourceExhausted, unavailable } from "#mesh/errors.ts";
import type { RegistrationHandle, Registry, Watch } from "#mesh/registry/registry.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { type Outside, outsideId, outsideText, readOutside, registrationOf } from "./outside.ts";

const prefix = "heddle/discovery/";
const marker = `${prefix}kept`;
const programs = `${prefix}outside/`;

/** How long a call waits until the registry has taken what it wrote, in milliseconds. */
const takenMs = 5000;
/** How long a store without its first key must not have changed, in milliseconds, for the keeper that was writing it to be dead. */
const quietMs = 3000;
/** Programs that are written again at a time: Consul takes 200 connections of a client. */
const together = 50;
/** Between two attempts to remove a registration from a registry that does not answer, in milliseconds. */
const againMs = 1000;

/** What the keeper works with. */
export interface KeeperOptions {
  readonly registry: Registry;
  readonly log: Logger;
  /** Programs at most. */
  readonly max: number;
}

interface Kept {
  readonly text: string;
  readonly outside: Outside;
  /** Ends this registration's keeping; the instance stays at the agent. */
  readonly stop: AbortController;
  /** Settles when the agent took it; undefined when it was stopped before. Never rejects but with the agent's refusal. */
  readonly handle: Promise<RegistrationHandle | undefined>;
}

/** The keeper of outside programs. Disposing it leaves them registered. */
export class OutsideKeeper implements AsyncDisposable {
  readonly #options: KeeperOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #watch: Watch;
  readonly #closing = new AbortController();
  /** Woken at every state of the store. */
  readonly #waiting = new Set<() => void>();
  /** The store had its first key when it was last seen whole. */
  #marked = false;
  /** It had, and has lost its memory. */
  #lost = false;
  #restoring = false;
  /** It has programs, and not yet the first key: another keeper is writing it again. */
  #half = false;
  #quiet: NodeJS.Timeout | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#watch = options.registry.watchKeys(prefix, (entries) => this.#take(entries));
  }

  /** The program of an id. */
  get(id: string): Outside | undefined {
    return this.#kept.get(id)?.outside;
  }

  /**
   * Registers a program, in place of the one with its id. Settles when the registry's agent took it.
   *
   * @throws RESOURCE_EXHAUSTED when too many are registered; UNAVAILABLE when the registry is away; INVALID_ARGUMENT when it refuses.
   */
  async put(outside: Outside): Promise<void> {
    const { registry, max } = this.#options;
    const id = outsideId(outside);
    if (!this.#kept.has(id) && this.#kept.size >= max) {
      throw resourceExhausted(`${max} outside programs are registered: deregister one first`, 60_000);
    }
    const text = outsideText(outside);
    await this.#until(() => !this.#lost);
    if (!this.#marked) await this.#mark();
    await registry.setKey(programs + id, text);
    await this.#until(() => this.#kept.get(id)?.text === text);
    try {
      await bounded(this.#kept.get(id)?.handle, takenMs);
    } catch (error) {
      // The agent refuses it for good, so it must not stand in the store either.
      await registry.deleteKey(programs + id);
      throw error;
    }
  }

  /** Removes a program from the store and from the agent. @throws UNAVAILABLE when the registry is away. */
  async remove(id: string): Promise<void> {
    const { registry } = this.#options;
    // What is being written again would come back.
    await this.#until(() => !this.#lost);
    await registry.deleteKey(programs + id);
    await this.#until(() => !this.#kept.has(id));
    await registry.deregister(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#quiet);
    this.#watch[Symbol.dispose]();
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    await Promise.all(kept.map((one) => this.#release(one)));
  }

  #take(entries: ReadonlyMap<string, string>): void {
    clearTimeout(this.#quiet);
    const marked = entries.has(marker);
    this.#lost = this.#marked && !marked;
    if (this.#lost) {
      void this.#restore();
      return;
    }
    this.#marked = marked;
    this.#half = !marked && entries.size > 0;
    if (this.#half) this.#markWhenQuiet();
    for (const [key, text] of entries) if (key.startsWith(programs)) this.#takeOne(key.slice(programs.length), text);
    for (const [id, kept] of this.#kept) if (!entries.has(programs + id)) void this.#drop(id, kept);
    for (const wake of [...this.#waiting]) wake();
  }

  #takeOne(id: string, text: string): void {
    const known = this.#kept.get(id);
    if (known?.text === text) return;
    const outside = readOutside(text);
    if (outside === undefined || outsideId(outside) !== id) {
      this.#options.log.warn({ key: programs + id }, "the key-value store holds an outside program that cannot be read");
      return;
    }
    const stop = new AbortController();
    const handle = this.#register(known, outside, stop.signal);
    // Whoever waits for it is told; nobody has to wait.
    handle.catch((error) => this.#options.log.warn({ id, err: error }, "the registry refuses an outside program"));
    this.#kept.set(id, { text, outside, stop, handle });
  }

  /** After the keeping of the one before has ended: it would put the old definition back. */
  async #register(before: Kept | undefined, outside: Outside, signal: AbortSignal): Promise<RegistrationHandle | undefined> {
    if (before !== undefined) await this.#release(before);
    if (signal.aborted) return undefined;
    try {
      return await this.#options.registry.register(registrationOf(outside), signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  async #drop(id: string, kept: Kept): Promise<void> {
    this.#kept.delete(id);
    await this.#release(kept);
    // A registry that is away is told when it is back, unless the program was registered again by then.
    while (!this.#closing.signal.aborted && !this.#kept.has(id)) {
      try {
        await this.#options.registry.deregister(id);
        return;
      } catch {
        await sleep(againMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
  }

  async #release(kept: Kept): Promise<void> {
    kept.stop.abort();
    const handle = await kept.handle.catch(() => undefined);
    await handle?.[Symbol.asyncDispose]();
  }

  /** Writes the first key to a store that never had it. @throws UNAVAILABLE when the registry is away, or the store is not whole in time. */
  async #mark(): Promise<void> {
    const { registry } = this.#options;
    if ((await registry.getKey(marker)) !== undefined) return;
    await bounded(this.#watch.first, takenMs);
    if (this.#half) await this.#until(() => this.#marked);
    else if (!this.#marked) await registry.setKey(marker, "1");
  }

  /** Says that the store is whole when the keeper that was to say so does not: what it had not written by then is lost. */
  #markWhenQuiet(): void {
    const mark = () =>
      this.#options.registry.setKey(marker, "1").catch(() => this.#closing.signal.aborted || this.#markWhenQuiet());
    this.#quiet = setTimeout(() => void mark(), quietMs).unref();
  }

  async #restore(): Promise<void> {
    if (this.#restoring) return;
    this.#restoring = true;
    const { registry, log } = this.#options;
    log.warn({ programs: this.#kept.size }, "the registry lost its key-value store: outside programs are written again");
    while (this.#lost && !this.#closing.signal.aborted) {
      try {
        const known = [...this.#kept];
        while (this.#lost && known.length > 0) {
          await Promise.all(known.splice(0, together).map(([id, { text }]) => registry.setKey(programs + id, text)));
        }
        if (this.#lost) await registry.setKey(marker, "1");
        await this.#until(() => !this.#lost);
      } catch {
        await sleep(againMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
    this.#restoring = false;
  }

  /** @throws UNAVAILABLE when the store does not show it in time. */
  async #until(condition: () => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(takenMs);
    while (!condition()) {
      if (deadline.aborted) throw unavailable("the registry has not shown what was written", 1000);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      deadline.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      this.#waiting.delete(resolve);
    }
  }
}

async function bounded<T>(work: Promise<T> | undefined, ms: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(unavailable("the registry has not taken the registration", 1000)), ms);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
