/** The process's side of the thread that has the indexes. */
import { Worker } from "node:worker_threads";
import { unavailable } from "#mesh/errors.ts";
import type { Answered, Asked, Calls } from "./index-protocol.ts";

/** The thread. */
export interface IndexThread extends AsyncDisposable {
  /** Asks it something; `transfer` is handed over. @throws UNAVAILABLE when the thread ends before it has answered. */
  ask<K extends keyof Calls>(call: K, given: Calls[K]["given"], transfer?: readonly ArrayBuffer[]): Promise<Calls[K]["answer"]>;
}

/** Opens the thread, which begins with the first question. `onLost` hears when it died: its indexes are to be opened anew. */
export function openIndexThread(o: { memoryMb: number; onLost: (error: Error) => void }): IndexThread {
  const open = new Map<number, { resolve(answer: unknown): void; reject(error: unknown): void }>();
  let worker: Worker | undefined;
  let next = 1;

  const begin = (): Worker => {
    const begun = new Worker(new URL("./index-worker.ts", import.meta.url), {
      execArgv: [],
      // What is not in typed arrays: keys, metadata, and lists of words.
      resourceLimits: { maxOldGenerationSizeMb: Math.max(256, o.memoryMb), maxYoungGenerationSizeMb: 16 },
    });
    begun.on("message", ({ number, answer, error }: Answered) => {
      const waiting = open.get(number);
      open.delete(number);
      if (error === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(`the index: ${error}`));
    });
    begun.on("error", (error) => {
      if (worker === begun) lose(error instanceof Error ? error : new Error(String(error)));
    });
    begun.on("exit", () => {
      if (worker === begun) lose(new Error("the thread of the indexes ended"));
    });
    // It must not keep the process alive.
    begun.unref();
    return begun;
  };

  const lose = (error: Error): void => {
    worker = undefined;
    for (const { reject } of open.values()) reject(unavailable("the index is being opened anew", 1000, error));
    open.clear();
    o.onLost(error);
  };

  const ask: IndexThread["ask"] = (call, given, transfer = []) => {
    worker ??= begin();
    const asked: Asked = { number: next++, call, given };
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    open.set(asked.number, { resolve, reject });
    worker.postMessage(asked, transfer);
    return promise as never;
  };

  return {
    ask,
    async [Symbol.asyncDispose]() {
      if (worker === undefined) return;
      const ending = worker;
      await ask("end", {}).catch(() => undefined);
      worker = undefined;
      await ending.terminate();
    },
  };
}
