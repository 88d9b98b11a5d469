/** The environment that the vector service reads, beside what every process does. */
import { duration, integer, secret, text } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** An OpenAI-compatible API, such as `https://api.openai.com/v1`; empty: there is no remote embedding. */
  embeddingsUrl: text("EMBEDDINGS_URL", ""),
  /** Its key; empty: none is sent. */
  embeddingsKey: secret("EMBEDDINGS_API_KEY", ""),
  /** Its model. */
  embeddingsModel: text("EMBEDDINGS_MODEL", "text-embedding-3-small"),
  /** How long one of its answers may take. */
  embeddingsTimeoutMs: duration("EMBEDDINGS_TIMEOUT", "15s"),
  /** Texts in one request to it. */
  embeddingsBatch: integer("EMBEDDINGS_BATCH", 1, 2048, 64),
  /** Megabytes that the indexes may take together; those that were used least make room. */
  memoryMb: integer("VECTOR_MEMORY_MB", 64, 65_536, 1024),
  /** Items that one collection may have. */
  maxItems: integer("VECTOR_MAX_ITEMS", 1000, 10_000_000, 1_000_000),
  /** How many candidates of the graph a search looks at when it does not say. */
  effort: integer("VECTOR_EFFORT", 16, 4096, 400),
};
