/**
 * The embedded agent's memory on disk: one JSON file, replaced whole by a rename, so that a kill at any moment leaves either
 * the old state or the new one.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { KeyValue } from "./key-values.ts";
import type { CheckRecord, NodeRecord, ServiceRecord } from "./model.ts";

/** What is kept of a node. */
export interface StoredNode {
  readonly node: NodeRecord;
  readonly services: readonly ServiceRecord[];
  readonly checks: readonly CheckRecord[];
}

/** All that is kept. */
export interface Stored {
  readonly version: 1;
  /** The last index that was handed out. */
  readonly index: number;
  readonly local: StoredNode | undefined;
  readonly others: readonly StoredNode[];
  readonly keys: readonly KeyValue[];
}

/** Milliseconds in which changes gather that need not be on disk before their answer. */
const gatherMs = 250;

/** The state file of one agent. */
export class Store {
  readonly #file: string;
  readonly #log: Logger;
  readonly #collect: () => Stored;
  #timer: NodeJS.Timeout | undefined;
  /** Settles with the write under way; never rejects. */
  #last: Promise<void> = Promise.resolve();
  /** The write that has not begun, which any change until then may share. */
  #next: Promise<void> | undefined;

  /** `collect` gives the state as it is at the moment of a write. */
  constructor(dataDir: string, log: Logger, collect: () => Stored) {
    this.#file = join(dataDir, stateFile);
    this.#log = log;
    this.#collect = collect;
  }

  /** Settles when the state of now, or a later one, is on disk. @throws Error of the file system. */
  write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => {
        this.#next = undefined;
        return replaceFile(this.#file, JSON.stringify(this.#collect()));
      });
      this.#last = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  /** Has the state on disk soon. */
  writeSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.write().catch((error) => this.#log.error({ err: error, file: this.#file }, "the agent's state could not be written"));
    }, gatherMs).unref();
  }
}

const stateFile = "consul-agent.json";

/**
 * Reads the state of an earlier run; empty when there was none. A file that cannot be read is set aside under another name,
 * with an error in the log, since a mesh that starts empty fills its registry by itself.
 */
export async function readStored(dataDir: string, log: Logger): Promise<Stored> {
  const empty: Stored = { version: 1, index: 0, local: undefined, others: [], keys: [] };
  const file = join(dataDir, stateFile);
  await mkdir(dataDir, { recursive: true });
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return empty;
  try {
    const stored = JSON.parse(text) as Partial<Stored>;
    const { index, others, keys } = stored;
    if (stored.version !== 1 || typeof index !== "number" || !Array.isArray(others) || !Array.isArray(keys)) {
      throw new Error("expected version 1 of the agent's state");
    }
    return { version: 1, index, local: stored.local, others, keys };
  } catch (error) {
    const aside = `${file}.unreadable-${randomUUID().slice(0, 8)}`;
    await rename(file, aside);
    log.error({ err: error, file: aside }, "the agent's state could not be read: it was set aside, the agent starts empty");
    return empty;
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`;
  {
    await using handle = await open(temporary, "w", 0o600);
    await handle.writeFile(text);
    await handle.sync();
  }
  await rename(temporary, file);
  // The rename itself must be on disk before a key's put is answered.
  await using folder = await open(join(file, ".."), "r");
  await folder.sync();
}
