/** What makes vectors of texts: the built-in embedding, and the remote one where there is an endpoint. */
import type { Piscina } from "piscina";
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";
import type { EmbeddingKind } from "./collection.ts";
import type { Task } from "./embedding-worker.ts";
import { defaultDimensions, embedHashed, hashedModel } from "./hashed-embedding.ts";
import type { RemoteEmbedding } from "./remote-embedding.ts";

/** Vectors, and what made them. */
export interface Embedded {
  readonly model: string;
  readonly dimensions: number;
  readonly vectors: readonly Float32Array<ArrayBuffer>[];
}

/** Makes vectors. */
export interface Embedder extends AsyncDisposable {
  /** The models by name, the built-in one first. */
  readonly models: readonly string[];
  /** The model of an embedding. @throws FAILED_PRECONDITION where there is no endpoint. */
  modelOf(kind: Exclude<EmbeddingKind, "none">): string;
  /**
   * One vector for each text. `dimensions` 0: 256, or what the remote model answers with.
   *
   * @throws FAILED_PRECONDITION where there is no endpoint, INVALID_ARGUMENT for dimensions that cannot be, UNAVAILABLE when the remote one fails.
   */
  embed(
    kind: Exclude<EmbeddingKind, "none">,
    texts: readonly string[],
    dimensions: number,
    signal: AbortSignal,
  ): Promise<Embedded>;
}

/** Characters that the event loop embeds itself: some milliseconds. More goes to a thread. */
const fewCharacters = 4000;

/** Opens the embeddings; the thread begins with the first long texts, and ends when there are none for a while. */
export function openEmbedder(remote: RemoteEmbedding | undefined): Embedder {
  let pool: Promise<Piscina<Task, Float32Array<ArrayBuffer>>> | undefined;

  const builtIn = async (texts: readonly string[], wanted: number, signal: AbortSignal): Promise<Embedded> => {
    const dimensions = wanted || defaultDimensions;
    if (dimensions < 32) {
      const description = `expected 32 to 4096 of the built-in embedding, got ${dimensions}`;
      throw invalidArgument([{ field: "dimensions", description }]);
    }
    const characters = texts.reduce((sum, { length }) => sum + length, 0);
    if (characters <= fewCharacters) {
      return { model: hashedModel, dimensions, vectors: texts.map((text) => embedHashed(text, dimensions)) };
    }
    pool ??= openPool();
    const all = await (await pool).run({ texts, dimensions }, { signal });
    const vectors = texts.map((_, at) => all.subarray(at * dimensions, (at + 1) * dimensions));
    return { model: hashedModel, dimensions, vectors };
  };

  const endpoint = (): RemoteEmbedding => {
    if (remote !== undefined) return remote;
    throw failedPrecondition("NO_REMOTE_EMBEDDING", "the service was given no EMBEDDINGS_URL: use the built-in embedding");
  };

  return {
    models: [hashedModel, ...(remote === undefined ? [] : [remote.model])],
    modelOf: (kind) => (kind === "built-in" ? hashedModel : endpoint().model),
    async embed(kind, texts, dimensions, signal) {
      if (kind === "built-in") return builtIn(texts, dimensions, signal);
      const vectors = await endpoint().embed(texts, dimensions, signal);
      return { model: endpoint().model, dimensions: vectors[0]?.length ?? dimensions, vectors };
    },
    async [Symbol.asyncDispose]() {
      await (await pool)?.destroy();
    },
  };
}

async function openPool(): Promise<Piscina<Task, Float32Array<ArrayBuffer>>> {
  const { Piscina } = await import("piscina");
  return new Piscina({
    filename: new URL("./embedding-worker.ts", import.meta.url).href,
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: 30_000,
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 8 },
    execArgv: [],
  });
}
