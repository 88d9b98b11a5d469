/** The instances to collect from, as discovery says; while discovery is away, as it said last. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { DiscoveryService } from "#gen/discovery/v1/discovery_pb.ts";
import type { Instance, Service } from "#gen/discovery/v1/service_pb.ts";
import { runWithoutContext } from "#mesh/context.ts";
import { from } from "#mesh/errors.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { Target } from "./target.ts";

/** What following works with. */
export interface TargetsOptions {
  readonly discovery: Pick<Client<typeof DiscoveryService>, "watchServices">;
  readonly log: Logger;
  readonly clock: () => number;
  /** Hears of the whole set at each change. */
  readonly onChange: (targets: readonly Target[]) => void;
}

/** What is known of discovery. */
export interface Targets extends AsyncDisposable {
  /** When it was last heard of, in milliseconds since the epoch; undefined: never. */
  readonly heardAt: number | undefined;
  /** What is wrong with it; undefined: nothing. */
  readonly problem: string | undefined;
}

/** Between two tries, in milliseconds: they double up to the second. */
const pause = { first: 250, most: 5000 };

/** Follows discovery until disposed. */
export function followTargets({ discovery, log, clock, onChange }: TargetsOptions): Targets {
  const stop = new AbortController();
  const { signal } = stop;
  const services = new Map<string, readonly Target[]>();
  let heardAt: number | undefined;
  let problem: string | undefined = "discovery was not heard of yet";
  const running = runWithoutContext(async () => {
    for (let waitMs = pause.first; !signal.aborted; waitMs = Math.min(2 * waitMs, pause.most)) {
      try {
        for await (const { services: changed, removed, complete } of discovery.watchServices({}, { signal })) {
          if (complete) services.clear();
          for (const name of removed) services.delete(name);
          for (const service of changed) services.set(service.name, targetsOf(service));
          heardAt = clock();
          problem = undefined;
          waitMs = pause.first;
          onChange([...services.values()].flat());
        }
        problem = "discovery ended the watch";
      } catch (error) {
        if (signal.aborted) return;
        if (problem === undefined) log.warn({ err: error }, "discovery is away; the last known instances are kept");
        problem = from(error).rawMessage;
      }
      await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  });
  return {
    get heardAt() {
      return heardAt;
    },
    get problem() {
      return problem;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

function targetsOf({ name, instances }: Service): Target[] {
  // What neither is a process of the mesh nor names an admin port, such as Consul itself, has no metrics to miss.
  const measured = ({ outside, contracts, meta }: Instance) => meta.admin !== undefined || (!outside && contracts.length > 0);
  return instances.filter(measured).map((instance) => targetOf(name, instance));
}

function targetOf(service: string, { id, address, meta }: Instance): Target {
  const port = Number(meta.admin);
  const good = /^\d+$/.test(meta.admin ?? "") && port >= 1 && port <= 65_535 && address !== "";
  return { instance: id, service, host: good ? address : undefined, port: good ? port : undefined };
}
