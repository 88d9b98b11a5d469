/** Who has called whom on the running platform, by the metrics of each process (grpc.client.attempt.started, gRFC A66). */
import type { PlatformStatus } from "../supervisor/control-server.ts";

/** Attempts that one service has made at another since its processes started. */
export interface SeenCall {
  readonly from: string;
  readonly to: string;
  readonly attempts: number;
}

/** How long one process may take to answer, in milliseconds. */
const patienceMs = 2000;

/** Asks every process that runs; one that does not answer has nothing to tell. */
export async function seenCalls({ processes }: PlatformStatus): Promise<readonly SeenCall[]> {
  const told = await Promise.all(
    processes.map(async ({ service, adminPort, pid }) => {
      if (pid === undefined) return [];
      const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`, { signal: AbortSignal.timeout(patienceMs) }).catch(
        () => undefined,
      );
      return response?.ok === true ? attemptsOf(service, await response.text()) : [];
    }),
  );
  const sums = new Map<string, SeenCall>();
  for (const call of told.flat()) {
    const key = `${call.from} ${call.to}`;
    sums.set(key, { ...call, attempts: call.attempts + (sums.get(key)?.attempts ?? 0) });
  }
  return [...sums.values()].toSorted((a, b) => (`${a.from} ${a.to}` < `${b.from} ${b.to}` ? -1 : 1));
}

/** The attempts in one process's Prometheus text, for each target and method. */
export function attemptsOf(from: string, text: string): readonly SeenCall[] {
  return [...text.matchAll(/^grpc_client_attempt_started_total\{([^}]*)\} (\S+)/gm)].flatMap(([, labels = "", value = ""]) => {
    const to = /grpc_target="([^"]*)"/.exec(labels)?.[1];
    return to === undefined || to === from ? [] : [{ from, to, attempts: Number(value) }];
  });
}
