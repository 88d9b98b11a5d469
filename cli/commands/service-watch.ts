import { setTimeout as sleep } from "node:timers/promises";
import { DiscoveryService } from "#gen/discovery/v1/discovery_pb.ts";
import { InstanceStatus, type Service } from "#gen/discovery/v1/service_pb.ts";
import type { CommandContext } from "../command-context.ts";
import { commandMesh } from "./command-mesh.ts";
import type { SeenService } from "./service-lines.ts";

/** What discovery tells of the services, as it changes. */
export interface ServiceWatch extends AsyncDisposable {
  /** Every service by name; undefined while discovery does not run. */
  services(): readonly SeenService[] | undefined;
  /** Settles at the next change, or after `ms` milliseconds. */
  changed(ms: number): Promise<void>;
}

/** Milliseconds until a watch that ended is begun again. */
const againMs = 2000;

/** Begins to watch. Never fails: a platform without discovery is one whose services are unknown. */
export async function watchServices(context: CommandContext): Promise<ServiceWatch> {
  const mesh = await commandMesh(context);
  const client = mesh.client(DiscoveryService);
  const stop = new AbortController();
  const known = new Map<string, SeenService>();
  let answers = false;
  let bell = Promise.withResolvers<void>();
  const ring = () => {
    bell.resolve();
    bell = Promise.withResolvers();
  };

  async function follow(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        for await (const { services, removed, complete } of client.watchServices({}, { signal: stop.signal })) {
          if (complete) known.clear();
          for (const service of services) known.set(service.name, plain(service));
          for (const name of removed) known.delete(name);
          answers = true;
          ring();
        }
      } catch {
        // Discovery is away, or was never started: what it said holds no more.
      }
      answers = false;
      ring();
      await sleep(againMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }
  const following = follow();

  return {
    services: () => (answers ? [...known.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) : undefined),
    async changed(ms) {
      const waiting = new AbortController();
      await Promise.race([bell.promise, sleep(ms, undefined, { signal: waiting.signal }).catch(() => undefined)]);
      waiting.abort();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
      await mesh[Symbol.asyncDispose]();
    },
  };
}

function plain({ name, instances }: Service): SeenService {
  return {
    name,
    instances: instances.map(({ id, address, port, url, version, status, outside }) => {
      return { id, address, port, url, version, health: words[status] ?? "-", outside };
    }),
  };
}

const words: Readonly<Record<number, string>> = {
  [InstanceStatus.PASSING]: "passing",
  [InstanceStatus.WARNING]: "warning",
  [InstanceStatus.CRITICAL]: "critical",
};
