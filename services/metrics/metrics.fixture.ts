/** What the service's tests and its benchmark run on: a discovery that says what it is told, and instances that answer what they are told. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { ServiceImpl } from "@connectrpc/connect";
import { DiscoveryService } from "#gen/discovery/v1/discovery_pb.ts";
import { implement } from "#mesh/server/implementation.ts";
import { defineService } from "#mesh/service.ts";
import type { Target } from "./target.ts";

/** A discovery that tells of `targets`, once. */
export function fakeDiscovery(targets: () => readonly Target[]) {
  // The other methods are not called.
  const watching: Pick<ServiceImpl<typeof DiscoveryService>, "watchServices"> = {
    async *watchServices(_request, { signal }) {
      const services = [...Map.groupBy(targets(), ({ service }) => service)].map(([name, instances]) => ({
        name,
        instances: instances.map(({ instance: id, host = "", port }) => ({
          ...{ id, service: name, address: host, port: 1 },
          meta: port === undefined ? {} : { admin: String(port) },
        })),
      }));
      yield { services, complete: true };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  };
  return defineService({
    name: "discovery",
    port: 7010,
    contracts: [DiscoveryService],
    settings: {},
    start: () => ({ implementations: [implement(DiscoveryService, watching as ServiceImpl<typeof DiscoveryService>)] }),
  });
}

/** An admin listener. */
export interface FakeInstance extends AsyncDisposable {
  readonly target: Target;
}

/** Listens on a free port and answers as `listener` does. */
export async function fakeInstance(service: string, instance: string, listener: RequestListener): Promise<FakeInstance> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    target: { service, instance, host: "127.0.0.1", port },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Answers with what `text` is at the time, as Prometheus text. */
export function answering(text: () => string): RequestListener {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(text());
  };
}

/** Calls of a method as a process tells of them: `buckets` counts each bucket's own, with the bounds 0.1 and 1. */
export function callsText(method: string, status: string, buckets: readonly [number, number, number]): string {
  const labels = `grpc_method="${method}",grpc_status="${status}"`;
  const name = "grpc_server_call_duration_seconds";
  const [first, second, last] = buckets;
  const all = first + second + last;
  return [
    `${name}_count{${labels}} ${all}`,
    `${name}_sum{${labels}} ${all * 0.25}`,
    `${name}_bucket{${labels},le="0.1"} ${first}`,
    `${name}_bucket{${labels},le="1"} ${first + second}`,
    `${name}_bucket{${labels},le="+Inf"} ${all}\n`,
  ].join("\n");
}

/** The line above calls. */
export const callsType = "# TYPE grpc_server_call_duration_seconds histogram\n";
