/** Asks an instance for its metrics: one request on a connection of its own, bounded in time and bytes. */
import { isAscii, isUtf8 } from "node:buffer";
import { type IncomingMessage, request } from "node:http";
import { TooLargeError } from "./exposition.ts";
import { FormatError } from "./sample-key.ts";

/** An instance that did not answer in time. */
export class SlowError extends Error {
  override readonly name = "SlowError";
}

/** How long an answer may take and how large it may be. */
export interface FetchLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** What all answers under way may have together. */
  readonly budget: ByteBudget;
}

/** Bytes that all answers share, so that many large ones at once do not fill the memory. */
export class ByteBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** False when there are not so many left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

const accept = "text/plain;version=0.0.4;q=1,text/plain;q=0.5";

/**
 * What `GET /metrics` at `host` and `port` answers.
 *
 * @throws SlowError, TooLargeError, FormatError for an answer that is no text, and Error for everything else, with a sentence each.
 */
export function fetchText(host: string, port: number, limits: FetchLimits, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({
    ...{ host, port, path: "/metrics", agent: false, signal },
    headers: { accept, "accept-encoding": "identity", connection: "close" },
  });
  const timer = setTimeout(() => fail(new SlowError(`no answer after ${limits.timeoutMs} ms`)), limits.timeoutMs);
  const chunks: Buffer[] = [];
  let bytes = 0;
  asked
    .on("error", (error) => fail(error))
    .on("response", read)
    .end();
  return promise.finally(() => {
    clearTimeout(timer);
    limits.budget.give(bytes);
  });

  function fail(error: Error): void {
    reject(error);
    asked.destroy();
  }

  function read(response: IncomingMessage): void {
    const problem = headProblem(response, limits.maxBytes);
    if (problem !== undefined) {
      fail(problem);
      return;
    }
    response.on("data", (chunk: Buffer) => {
      const tooMany = bytes + chunk.length > limits.maxBytes;
      if (tooMany || !limits.budget.take(chunk.length)) {
        const message = tooMany
          ? `more than ${limits.maxBytes} bytes`
          : "too many bytes in the answers of all instances together";
        fail(new TooLargeError(message));
        return;
      }
      bytes += chunk.length;
      chunks.push(chunk);
    });
    response.on("error", fail).on("aborted", () => fail(new Error("the answer broke off")));
    response.on("end", () => {
      const all = Buffer.concat(chunks);
      if (isAscii(all)) resolve(all.toString("latin1"));
      else if (isUtf8(all)) resolve(all.toString());
      else fail(new FormatError(0, "expected UTF-8"));
    });
  }
}

function headProblem({ statusCode, headers }: IncomingMessage, maxBytes: number): Error | undefined {
  if (statusCode !== 200) return new Error(`expected status 200, got ${statusCode}`);
  const type = headers["content-type"] ?? "text/plain";
  if (!/^text\/plain\b/i.test(type)) return new FormatError(0, `expected text/plain, got ${JSON.stringify(type.slice(0, 100))}`);
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") return new FormatError(0, `expected no encoding, got ${JSON.stringify(encoding.slice(0, 50))}`);
  if (Number(headers["content-length"] ?? 0) > maxBytes) return new TooLargeError(`more than ${maxBytes} bytes`);
  return undefined;
}
