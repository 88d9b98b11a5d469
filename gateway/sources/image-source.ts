/** Contracts from an image file, followed as it changes. */
import { type FSWatcher, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ContractError, filesOf } from "../contracts.ts";
import { ChangingContracts, type ContractFiles, type ContractSource } from "./source.ts";

/** How to follow the file. */
export interface ImageSourceOptions {
  /** Milliseconds between looks at the file where the system tells of no changes (network mounts, for one). Default 2000. */
  readonly lookMs?: number;
  /** Milliseconds for which the file must stay as it is before it is read, so that none is read half written. Default 50. */
  readonly settleMs?: number;
}

/**
 * Reads an image and follows it. The folder is watched rather than the file, because builds and mounted volumes replace a file
 * by renaming another over it, and a watch on the old one would never speak again.
 *
 * @throws ContractError when the file cannot be read or is no image.
 */
export async function openImageSource(path: string, options: ImageSourceOptions = {}): Promise<ContractSource> {
  const seen = await stateOf(path);
  return new ImageSource(path, seen, await readImage(path), options);
}

class ImageSource extends ChangingContracts {
  readonly #path: string;
  readonly #settleMs: number;
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  /** The state of the file that was read last. */
  #seen: string;
  #looking = false;
  #again = false;

  constructor(path: string, seen: string, first: ContractFiles, { settleMs = 50, lookMs = 2000 }: ImageSourceOptions) {
    super(first);
    this.#path = path;
    this.#seen = seen;
    this.#settleMs = settleMs;
    this.#timer = setInterval(() => void this.#look(), lookMs).unref();
    this.#watch();
    // What changed between the first read and the watch.
    void this.#look();
  }

  get floor(): ContractFiles {
    return this.current;
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#watcher?.close();
    clearInterval(this.#timer);
  }

  /** Any event of the folder is a reason to look: a mounted volume swaps a link of another name. */
  #watch(): void {
    try {
      this.#watcher = watch(dirname(resolve(this.#path)), { persistent: false }, () => void this.#look());
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      // No watches left, or none on this file system: the timer looks.
    }
  }

  async #look(): Promise<void> {
    this.#again = true;
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#lookOnce();
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error;
    } finally {
      this.#looking = false;
    }
  }

  async #lookOnce(): Promise<void> {
    let state = await stateOf(this.#path);
    if (state === this.#seen) return;
    for (let before = ""; before !== state; ) {
      before = state;
      await sleep(this.#settleMs, undefined, { signal: this.#closing.signal });
      state = await stateOf(this.#path);
    }
    if (state === this.#seen) return;
    this.#seen = state;
    const [next] = await Promise.allSettled([readImage(this.#path)]);
    if (this.#closing.signal.aborted) return;
    this.publish(() => {
      if (next.status === "fulfilled") return next.value;
      throw next.reason;
    });
  }
}

async function stateOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? "missing" : `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}

async function readImage(path: string): Promise<ContractFiles> {
  try {
    return { origin: `image ${basename(path)}`, files: filesOf(await readFile(path)), services: undefined };
  } catch (error) {
    const mistakes = error instanceof ContractError ? error.mistakes : [error instanceof Error ? error.message : String(error)];
    throw new ContractError(mistakes.map((mistake) => `${path}: ${mistake}`));
  }
}
