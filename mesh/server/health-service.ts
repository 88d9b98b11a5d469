/** grpc.health.v1 over a HealthBoard (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
import { Health, HealthCheckResponse_ServingStatus as Status } from "#gen/grpc/health/v1/health_pb.ts";
import { notFound } from "../errors.ts";
import type { HealthBoard, ServingStatus } from "./health.ts";
import { type Implementation, implement } from "./implementation.ts";

/** Check, List and Watch. Check of an unknown service is NOT_FOUND; Watch of one says SERVICE_UNKNOWN and stays open. */
export function healthService(board: HealthBoard): Implementation {
  return implement(Health, {
    check({ service }) {
      const status = board.status(service);
      if (status === undefined) throw notFound("the service", service);
      return { status: Status[status] };
    },
    list() {
      const entries = board.services.map((name) => [name, { status: Status[board.status(name) ?? "UNKNOWN"] }] as const);
      return { statuses: Object.fromEntries(entries) };
    },
    async *watch({ service }, { signal }) {
      for await (const status of statusesOf(board, service, signal)) yield { status: Status[status] };
    },
  });
}

type WatchedStatus = ServingStatus | "SERVICE_UNKNOWN";

/** The latest status at every change until `signal` aborts. A slow reader skips what changed back in between. */
async function* statusesOf(board: HealthBoard, service: string, signal: AbortSignal): AsyncGenerator<WatchedStatus> {
  let latest: WatchedStatus | undefined;
  let wake = Promise.withResolvers<void>();
  const stop = () => wake.resolve();
  using _watch = board.watch(service, (status) => {
    latest = status;
    wake.resolve();
  });
  signal.addEventListener("abort", stop);
  try {
    let sent: WatchedStatus | undefined;
    while (!signal.aborted) {
      if (latest !== undefined && latest !== sent) {
        sent = latest;
        yield sent;
        continue;
      }
      await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
