/**
 * The last good answers of the registry in a file, so that a process can start while the registry is away. One file belongs
 * to one process. It holds the answers as they came: they are read again by the same strict readers.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { Answer } from "./connection.ts";

/** One answer and when the registry last gave it, in milliseconds since the epoch. */
export interface SnapshotEntry {
  readonly answer: Answer;
  readonly confirmedAt: number;
}

/** Milliseconds in which changes gather before one write. */
const gatherMs = 500;
/** An entry this old, in milliseconds, is left out: its hosts are more likely others' than ours. A week. */
const maxAgeMs = 7 * 24 * 3_600_000;

/** The snapshot file of one process; without a file it remembers nothing. */
export class Snapshot {
  readonly #file: string | undefined;
  readonly #log: Logger;
  readonly #entries: Map<string, SnapshotEntry>;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string | undefined, log: Logger, now: number) {
    this.#file = file;
    this.#log = log;
    this.#entries = file === undefined ? new Map() : parseSnapshot(readText(file), now);
  }

  /** The answer that an earlier run last saw at `path`. */
  entry(path: string): SnapshotEntry | undefined {
    return this.#entries.get(path);
  }

  /** Remembers the answer at `path`; on disk within half a second. */
  put(path: string, entry: SnapshotEntry): void {
    if (this.#file === undefined) return;
    this.#entries.set(path, entry);
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs).unref();
  }

  /** Writes what has not been written. Never rejects: a full disk must not stop a service that needs no file. */
  async flush(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const text = JSON.stringify({ version: 1, entries: Object.fromEntries(this.#entries) });
      this.#writing = this.#writing.then(() => this.#write(text));
    }
    await this.#writing;
  }

  async #write(text: string): Promise<void> {
    if (this.#file === undefined) return;
    const temporary = `${this.#file}.${process.pid}.tmp`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      await using handle = await open(temporary, "w", 0o600);
      await handle.writeFile(text);
      await handle.sync();
      await rename(temporary, this.#file);
    } catch (error) {
      this.#log.warn({ err: error, file: this.#file }, "the registry's snapshot could not be written");
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }
}

/** Reads a snapshot's text; what is not one, or too old at time `now`, is left out. */
export function parseSnapshot(text: string | undefined, now: number): Map<string, SnapshotEntry> {
  try {
    const { version, entries } = JSON.parse(text ?? "{}") as { version?: unknown; entries?: Record<string, SnapshotEntry> };
    if (version !== 1 || entries === undefined) return new Map();
    return new Map(Object.entries(entries).filter(([, entry]) => isEntry(entry) && now - entry.confirmedAt <= maxAgeMs));
  } catch {
    return new Map();
  }
}

function isEntry(entry: unknown): entry is SnapshotEntry {
  const { answer, confirmedAt } = (entry ?? {}) as Partial<SnapshotEntry>;
  return typeof confirmedAt === "number" && typeof answer?.status === "number" && typeof answer.body === "string";
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
