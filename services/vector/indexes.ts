/**
 * The indexes of this process: opened when they are asked for, kept up with the database, and closed when others need the room.
 *
 * An index follows its collection by the numbers of the changes: what it has taken in is a position, and what comes after is read from the
 * database, in order. The database announces each change, so all processes follow the changes of all.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { notFound, resourceExhausted } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Collection } from "./collection.ts";
import type { Hit, Query } from "./collection-index.ts";
import type { IndexState } from "./index-protocol.ts";
import type { IndexThread } from "./index-thread.ts";
import { readChanges } from "./item-store.ts";
import { chunkRows } from "./matrix.ts";
import { existing, filledCollections, getCollection } from "./store.ts";

/** What the indexes work with. */
export interface IndexesOptions {
  readonly db: Database;
  readonly openThread: (onLost: (error: Error) => void) => IndexThread;
  readonly log: Logger;
  /** The folder for their files. */
  readonly path: string;
  /** What they may take together, in bytes. */
  readonly maxBytes: number;
  readonly clock: () => number;
}

/** The indexes. */
export interface Indexes extends AsyncDisposable {
  /** The best items of a collection, by their keys. @throws RESOURCE_EXHAUSTED when its index is larger than all may be. */
  search(collection: Collection, query: Query): Promise<readonly Hit[]>;
  /** After a change: settles when the collection's index, if it is open, has taken in all that is committed now, or cannot just now. */
  catchUp(collection: Collection): Promise<void>;
  /** How the open indexes stand, by the ids of their collections. */
  states(): Promise<ReadonlyMap<string, { readonly collection: Collection; readonly state: IndexState }>>;
  /** Settles when the indexes that fit are open; begun at once. */
  readonly warm: Promise<void>;
}

/** Items in one page of changes; of large vectors as many as are some megabytes. */
const pageRows = 1000;
const pageBytes = 4 * 2 ** 20;

/** An index that is open. */
interface OpenIndex {
  readonly id: string;
  readonly collection: Collection;
  state: IndexState;
  lastUsed: number;
  searches: number;
  /** The run that reads changes now, and whether there may be more by then. */
  run: Promise<void> | undefined;
  again: boolean;
}

/** Opens the indexes. */
export async function openIndexes(options: IndexesOptions): Promise<Indexes> {
  const { db, log, path, maxBytes, clock } = options;
  const opening = new Map<string, Promise<OpenIndex>>();
  const open = new Map<string, OpenIndex>();
  /** Bytes of each that is open or being opened: what it is expected to take, until it takes more. */
  const taken = new Map<string, number>();
  let closed = false;
  const thread = options.openThread((error) => {
    log.error({ err: error }, "the thread of the indexes died; they are opened anew when they are asked for");
    open.clear();
    opening.clear();
    taken.clear();
  });

  const find = (collection: Collection): Promise<OpenIndex> => {
    const begun = opening.get(collection.id);
    if (begun !== undefined) return begun;
    const promise = runWithoutContext(() => begin(collection));
    opening.set(collection.id, promise);
    promise.catch(() => {
      if (opening.get(collection.id) !== promise) return;
      opening.delete(collection.id);
      taken.delete(collection.id);
    });
    return promise;
  };

  const begin = async ({ id }: Collection): Promise<OpenIndex> => {
    const started = performance.now();
    const collection = await getCollection(db, id);
    if (collection === undefined) throw notFound("collection", id);
    await makeRoom(collection);
    const { dimensions, metric, change, purgedChange } = collection;
    const shape = { dimensions, metric };
    let state = await thread.ask("open", { id, path: join(path, id), shape, upTo: change });
    if (state.damage !== undefined) log.warn({ collection: id, damage: state.damage }, "reading what is damaged anew");
    const { position } = state;
    const unfinished = position.change === purgedChange && position.key !== Number.MAX_SAFE_INTEGER;
    if (position.change > 0 && (position.change < purgedChange || unfinished)) state = await thread.ask("clear", { id });
    const index: OpenIndex = { id, collection, state, lastUsed: clock(), searches: 0, run: undefined, again: false };
    open.set(id, index);
    await follow(index);
    const { rows, pending } = index.state;
    log.info({ collection: id, rows, pending, ms: Math.round(performance.now() - started) }, "opened an index");
    return index;
  };

  /** Reads changes until there are none, once more when it is called meanwhile. */
  const follow = (index: OpenIndex): Promise<void> => {
    index.again = true;
    index.run ??= runWithoutContext(async () => {
      try {
        while (index.again && open.get(index.id) === index && !closed) {
          index.again = false;
          await readAll(index);
        }
      } finally {
        index.run = undefined;
      }
    });
    return index.run;
  };

  const readAll = async (index: OpenIndex): Promise<void> => {
    const { id } = index;
    const { dimensions } = index.collection;
    const limit = Math.max(50, Math.min(pageRows, Math.floor(pageBytes / (dimensions * 4))));
    while (open.get(id) === index && !closed) {
      const page = await readChanges(db, id, index.state.position, dimensions, limit);
      const { changes, vectors, position } = page;
      if (position === undefined) break;
      index.state = await thread.ask("apply", { id, changes, vectors, position }, [vectors.buffer]);
      taken.set(id, Math.max(taken.get(id) ?? 0, index.state.bytes));
      if (changes.length < limit) break;
    }
  };

  const used = () => [...taken.values()].reduce((sum, bytes) => sum + bytes, 0);
  const hasRoom = (collection: Collection) => !closed && used() + estimate(collection) <= maxBytes;

  /** Closes those that were used least until there is room for another. */
  const makeRoom = async (collection: Collection): Promise<void> => {
    const wanted = estimate(collection);
    if (wanted > maxBytes) {
      const megabytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
      throw resourceExhausted(
        `the index of collection ${JSON.stringify(collection.name)} takes some ${megabytes(wanted)} MB, of ${megabytes(maxBytes)} MB for all`,
        60_000,
      );
    }
    while (open.size > 0 && !hasRoom(collection)) {
      const idle = [...open.values()].filter(({ searches }) => searches === 0).sort((a, b) => a.lastUsed - b.lastUsed)[0];
      if (idle === undefined) break;
      await forget(idle.id, false);
    }
    taken.set(collection.id, wanted);
  };

  const forget = async (id: string, remove: boolean): Promise<void> => {
    open.delete(id);
    opening.delete(id);
    taken.delete(id);
    await thread.ask("close", { id, remove });
  };

  const changed = async (id: string): Promise<void> => {
    const index = open.get(id);
    if (index === undefined) return;
    await follow(index);
    const gone = (await getCollection(db, id)) === undefined;
    if (gone && open.get(id) === index) await forget(id, true);
  };

  const listening = await db.listen(
    "vector_changed",
    (id) => void changed(id).catch((err: unknown) => log.warn({ err, collection: id }, cannotFollow)),
    () => {
      log.info("listening to changes again");
      for (const id of open.keys()) void changed(id).catch((err: unknown) => log.warn({ err, collection: id }, cannotFollow));
    },
  );

  const warmUp = async (): Promise<void> => {
    const files = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const known = await existing(
      db,
      files.map(({ name }) => name),
    );
    for (const { name } of files) if (!known.has(name)) rmSync(join(path, name), { recursive: true, force: true });
    let bytes = 0;
    for (const collection of await filledCollections(db)) {
      bytes += estimate(collection);
      if (closed || bytes > maxBytes) return;
      await find(collection);
    }
  };
  const warm = runWithoutContext(warmUp).catch((err: unknown) => {
    if (!closed) log.warn({ err }, "cannot open all indexes now; they are opened when they are asked for");
  });

  return {
    async search(collection, query) {
      const index = await find(collection);
      index.searches++;
      index.lastUsed = clock();
      try {
        return await thread.ask("search", { id: collection.id, query });
      } finally {
        index.searches--;
      }
    },
    async catchUp(collection) {
      const { id } = collection;
      const index = open.get(id);
      // What is committed is so whether or not it can be found yet.
      if (index !== undefined) await follow(index).catch((err: unknown) => log.warn({ err, collection: id }, cannotFollow));
      // Whoever puts items in will look for them. One for which there is no room says so then.
      else if (hasRoom(collection))
        find(collection).catch((err: unknown) => log.debug({ err, collection: id }, "cannot open it"));
    },
    async states() {
      const states = [...open.values()].map(async ({ id, collection }) => {
        const state = await thread.ask("state", { id }).catch(() => undefined);
        return state === undefined ? [] : [[id, { collection, state }] as const];
      });
      return new Map((await Promise.all(states)).flat());
    },
    warm,
    async [Symbol.asyncDispose]() {
      closed = true;
      await listening[Symbol.asyncDispose]();
      await warm;
      await Promise.allSettled([...open.values()].flatMap(({ run }) => run ?? []));
      await thread[Symbol.asyncDispose]();
    },
  };
}

const cannotFollow = "cannot follow the changes of a collection now";

/** What an index will take: vectors, graph, and some for words and metadata. */
function estimate({ itemCount, dimensions, metric }: Collection): number {
  return itemCount * (dimensions * (metric === "cosine" ? 6 : 8) + 800) + chunkRows * dimensions * 4;
}
