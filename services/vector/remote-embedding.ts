/**
 * Embeddings of an OpenAI-compatible endpoint: `POST <url>/embeddings` with `{model, input, encoding_format, dimensions}`, after OpenAI's API reference,
 * "Create embeddings".
 *
 * Texts go in batches, one after the other. What may pass is tried again: no answer, 408, 409, 425, 429 and 5xx, after the wait that Retry-After asks
 * for or one that doubles with jitter (AWS, "Exponential Backoff and Jitter"), for as long as the call has time.
 */
import { setTimeout } from "node:timers/promises";
import type { Values } from "#mesh/config.ts";
import { canceled, failedPrecondition, from, unavailable } from "#mesh/errors.ts";
import type { settings } from "./settings.ts";

/** The endpoint. */
export interface RemoteOptions {
  /** The API's base, such as `https://api.openai.com/v1`. */
  readonly url: string;
  readonly apiKey: string;
  readonly model: string;
  /** For one answer, in milliseconds. */
  readonly timeoutMs: number;
  /** Texts in one request. */
  readonly batch: number;
  /** Requests for one batch at most. Default 4. */
  readonly attempts?: number;
  /** The first wait between them, in milliseconds. Default 200. */
  readonly firstWaitMs?: number;
}

/** The embedding of an endpoint. */
export interface RemoteEmbedding {
  readonly model: string;
  /** One vector for each text; `dimensions` 0: what the model answers with. @throws UNAVAILABLE, FAILED_PRECONDITION when it refuses. */
  embed(texts: readonly string[], dimensions: number, signal: AbortSignal): Promise<Float32Array<ArrayBuffer>[]>;
}

/** Bytes of an answer, at most: 2,048 vectors of 4,096 numbers as text. */
const maxAnswerBytes = 128 * 2 ** 20;
const maxWaitMs = 10_000;

/** An embedding by an endpoint, which is not called before there is something to embed. */
export function remoteEmbedding(options: RemoteOptions): RemoteEmbedding {
  const endpoint = `${options.url.replace(/\/+$/, "")}/embeddings`;
  const { model, batch, attempts = 4, firstWaitMs = 200 } = options;

  const embedBatch = async (texts: readonly string[], dimensions: number, signal: AbortSignal) => {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const outcome = await request(endpoint, options, texts, dimensions, signal);
      if (outcome.kind === "vectors") return outcome.vectors;
      if (outcome.kind === "refused") throw failedPrecondition("EMBEDDINGS_REFUSED", outcome.why);
      const wait = outcome.retryAfterMs ?? firstWaitMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
      if (attempt === attempts || wait > maxWaitMs) throw unavailable(outcome.why, Math.max(wait, 1000), outcome.cause);
      await setTimeout(wait, undefined, { signal }).catch(() => Promise.reject(canceled()));
    }
  };

  return {
    model,
    async embed(texts, dimensions, signal) {
      const vectors: Float32Array<ArrayBuffer>[] = [];
      for (let at = 0; at < texts.length; at += batch) {
        vectors.push(...(await embedBatch(texts.slice(at, at + batch), dimensions, signal)));
      }
      const length = dimensions || vectors[0]?.length;
      if (vectors.some((vector) => vector.length !== length)) {
        throw failedPrecondition(
          "EMBEDDINGS_REFUSED",
          `the embeddings endpoint: expected vectors of ${length} numbers, got others`,
        );
      }
      return vectors;
    },
  };
}

/** The endpoint that the environment names, or undefined for none. */
export function remoteOf(config: Values<typeof settings>): RemoteEmbedding | undefined {
  const { embeddingsUrl: url, embeddingsKey: apiKey, embeddingsModel: model } = config;
  if (url === "") return undefined;
  return remoteEmbedding({ url, apiKey, model, timeoutMs: config.embeddingsTimeoutMs, batch: config.embeddingsBatch });
}

type Outcome =
  | { readonly kind: "vectors"; readonly vectors: Float32Array<ArrayBuffer>[] }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "passing"; readonly why: string; readonly retryAfterMs: number | undefined; readonly cause?: unknown };

async function request(
  endpoint: string,
  { apiKey, model, timeoutMs }: RemoteOptions,
  texts: readonly string[],
  dimensions: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const late = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let body: string;
  try {
    response = await fetch(endpoint, {
      method: "POST",
      redirect: "error",
      headers: { "content-type": "application/json", ...(apiKey === "" ? {} : { authorization: `Bearer ${apiKey}` }) },
      // An empty text is refused by some; a blank says as little.
      body: JSON.stringify({
        model,
        input: texts.map((text) => text || " "),
        encoding_format: "float",
        ...(dimensions === 0 ? {} : { dimensions }),
      }),
      signal: AbortSignal.any([signal, late]),
    });
    body = await textOf(response);
  } catch (cause) {
    if (signal.aborted) throw from(signal.reason);
    const why = late.aborted ? `did not answer within ${timeoutMs / 1000} s` : "cannot be reached";
    return { kind: "passing", why: `the embeddings endpoint ${why}`, retryAfterMs: undefined, cause };
  }
  if (response.ok) return read(body, texts.length);
  const why = `the embeddings endpoint answered ${response.status}`;
  if (![408, 409, 425, 429].includes(response.status) && response.status < 500) return { kind: "refused", why };
  return { kind: "passing", why, retryAfterMs: retryAfter(response.headers.get("retry-after"), Date.now()) };
}

/** The vectors of an answer, in the order of their indexes. */
function read(body: string, count: number): Outcome {
  const refused = (why: string): Outcome => ({ kind: "refused", why: `the embeddings endpoint: ${why}` });
  let data: unknown;
  try {
    data = (JSON.parse(body) as { data?: unknown } | null)?.data;
  } catch {
    return refused("expected JSON, got something else");
  }
  if (!Array.isArray(data) || data.length !== count) return refused(`expected ${count} embeddings`);
  const vectors: Float32Array<ArrayBuffer>[] = [];
  for (const [at, one] of data.entries()) {
    const { index = at, embedding } = (one ?? {}) as { index?: number; embedding?: unknown };
    const good = Array.isArray(embedding) && embedding.length > 0 && embedding.length <= 4096 && embedding.every(Number.isFinite);
    if (!good || !Number.isInteger(index) || index < 0 || index >= count)
      return refused("expected lists of at most 4096 numbers");
    vectors[index] = Float32Array.from(embedding);
  }
  if (Object.keys(vectors).length !== count) return refused(`expected ${count} embeddings, each once`);
  return { kind: "vectors", vectors };
}

async function textOf(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Seconds, or a date (RFC 9110, 10.2.3); undefined for neither. */
function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
