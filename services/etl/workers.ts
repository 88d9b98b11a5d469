/** The worker threads that read, check and change rows. */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";
import type { Chunk, ChunkTask, Head, HeadTask } from "./chunk.ts";
import type { CompileTask, Done, Task } from "./chunk-worker.ts";
import type { ColumnType } from "./column.ts";
import type { EncodeTask, Encoded } from "./encode-rows.ts";
import { JobError } from "./job.ts";

/** Does tasks off the event loop. Each rejects with JobError for what is wrong with what the user gave. */
export interface Workers extends AsyncDisposable {
  chunk(task: ChunkTask, signal?: AbortSignal): Promise<Chunk>;
  head(task: HeadTask): Promise<Head>;
  compile(task: CompileTask): Promise<ColumnType | undefined>;
  encode(task: EncodeTask, signal?: AbortSignal): Promise<Encoded>;
}

/** Milliseconds that one task may take: only expressions that grow beyond all measure need so long. */
const taskTimeoutMs = 30_000;

/** Opens the pool. `threads`: at most so many; 0 means one less than the machine has cores. The first begins with the first task. */
export function openWorkers(threads: number): Workers {
  const maxThreads = threads || Math.max(1, availableParallelism() - 1);
  const pool = new Piscina<Task, unknown>({
    filename: new URL("./chunk-worker.ts", import.meta.url).href,
    minThreads: 0,
    maxThreads,
    idleTimeout: 30_000,
    // Of a chunk of 1 MiB there are its rows, their texts and those for COPY; Parquet has pages of several.
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 8 },
    execArgv: [],
  });
  // A task's time begins with its turn, so that nobody's is up because of another's.
  const waiting: (() => void)[] = [];
  let busy = 0;
  const turn = async (): Promise<Disposable> => {
    if (busy < maxThreads) busy++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return {
      [Symbol.dispose]() {
        const next = waiting.shift();
        if (next === undefined) busy--;
        else next();
      },
    };
  };
  const run = async <T>(task: Task, signal?: AbortSignal): Promise<T> => {
    using _ = await turn();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), taskTimeoutMs);
    const stop = () => late.abort();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      signal?.throwIfAborted();
      const done = (await pool.run(task, { signal: late.signal })) as Done<T>;
      if ("mistake" in done) throw new JobError(done.mistake);
      return done.value;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (late.signal.aborted) throw new JobError(`a stretch of rows took more than ${taskTimeoutMs / 1000} s of computing`);
      if ((error as { code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY") throw new JobError("a stretch of rows took more than 128 MB of memory");
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  };
  return {
    chunk: (task, signal) => run(task, signal),
    head: (task) => run(task),
    compile: (task) => run(task),
    encode: (task, signal) => run(task, signal),
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}
