/** A steady load: so many requests a second whatever the answers take (an open loop, so that a stall is not hidden). */
export interface LoadResult {
  readonly sent: number;
  /** Everything that was not a success, as `status body` or the error's text, in order. */
  readonly failures: readonly string[];
  /** Milliseconds that the slowest answer took. */
  readonly slowestMs: number;
}

/** A running load; `stop` ends it and settles when the last answer is in. */
export interface Load {
  stop(): Promise<LoadResult>;
}

/** Sends `perSecond` requests a second made by `request`, which answers undefined for a success and else what went wrong. */
export function startLoad(perSecond: number, request: () => Promise<string | undefined>): Load {
  const failures: string[] = [];
  const running = new Set<Promise<void>>();
  const startedAt = performance.now();
  let sent = 0;
  let slowestMs = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * perSecond);
    while (sent < due) {
      sent += 1;
      const one: Promise<void> = send().finally(() => running.delete(one));
      running.add(one);
    }
  }, 5);

  async function send(): Promise<void> {
    const from = performance.now();
    const failure = await request().catch((error: unknown) => String(error));
    slowestMs = Math.max(slowestMs, performance.now() - from);
    if (failure !== undefined) failures.push(failure);
  }

  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      return { sent, failures, slowestMs: Math.round(slowestMs) };
    },
  };
}

/** A GET that succeeds with `expected`, for startLoad. */
export function get(url: string, headers: Readonly<Record<string, string>>, expected = 200): () => Promise<string | undefined> {
  return async () => {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(15_000) });
    const body = await response.text();
    return response.status === expected ? undefined : `${response.status} ${body}`;
  };
}
