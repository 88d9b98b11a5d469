/** The limits of what a client sends. */

/** Bytes and times. */
export interface Limits {
  /** Bytes of a body, or of one message of a stream. Default 4 MiB, as in every gRPC library. */
  readonly maxBytes: number;
  /** Milliseconds for a whole body to arrive. Default 30,000. */
  readonly timeoutMs: number;
  /** Milliseconds that a client may send nothing of a stream although the backend waits for more. Default 300,000. */
  readonly idleMs: number;
}

/** The options of a gateway that set them. */
export interface LimitOptions {
  readonly maxBodyBytes?: number;
  readonly bodyTimeoutMs?: number;
  readonly streams?: { readonly idleMs?: number };
}

/** The limits that options of the gateway set. */
export function limitsOf(options: LimitOptions): Limits {
  const { maxBodyBytes = 4 * 2 ** 20, bodyTimeoutMs = 30_000, streams } = options;
  return { maxBytes: maxBodyBytes, timeoutMs: bodyTimeoutMs, idleMs: streams?.idleMs ?? 300_000 };
}
