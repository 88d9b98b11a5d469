/**
 * A process with two consumers, to be killed: one pulls, one subscribes. What they get they note in the database, then acknowledge. Prints "serving"
 * when it has begun.
 *
 *   node soak-consumer.fixture.ts        environment: CONSUL_HTTP_ADDR, HEDDLE_MESH_SECRET, SOAK_DATABASE_URL, SOAK_QUEUES
 */
import { setTimeout as sleep } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type { Delivery } from "#gen/queue/v1/message_pb.ts";
import { QueueService } from "#gen/queue/v1/queue_pb.ts";
import { createMeshClient } from "#mesh/client/client.ts";
import { loadServiceConfigs } from "#mesh/client/service-configs.ts";
import { callerToken } from "#mesh/identity/caller.ts";
import { openConsul } from "#mesh/registry/consul.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { createMetrics } from "#mesh/telemetry/metrics.ts";
import { createTracing } from "#mesh/telemetry/trace.ts";

const environment = process.env;
const log = createLogger({ service: "test", instance: "consumer", level: "silent" });
const registry = openConsul({ address: environment.CONSUL_HTTP_ADDR ?? "", log });
const serviceConfigs = await loadServiceConfigs({ root: new URL("../../proto/", import.meta.url), registry, log });
const { meter } = createMetrics({ service: "test", instance: "consumer", version: "0" });
const { tracer } = createTracing({ service: "test", instance: "consumer", endpoint: undefined });
const caller = callerToken("test", environment.HEDDLE_MESH_SECRET ?? "");
const client = createMeshClient({ service: "test", registry, serviceConfigs, caller, log, meter, tracer }).client(QueueService);
const db = await openDatabase({ url: environment.SOAK_DATABASE_URL ?? "", service: "test", poolSize: 2, log });
const queues = (environment.SOAK_QUEUES ?? "").split(",");
const size = 25;

process.stdout.write('"serving"\n');
await Promise.all(
  queues.flatMap((queue, index) => (index % 2 === 0 ? pulling(client, db, queue) : subscribing(client, db, queue))),
);

async function pulling(from: Client<typeof QueueService>, to: Database, queue: string): Promise<never> {
  for (;;) {
    try {
      const { deliveries } = await from.pull({ queue, maxMessages: size, wait: durationFromMs(2000) });
      if (deliveries.length === 0) continue;
      const noted = await note(to, queue, deliveries);
      await from.ack({ queue, ackTokens: noted.map(({ ackToken }) => ackToken) });
    } catch {
      await sleep(50);
    }
  }
}

async function subscribing(from: Client<typeof QueueService>, to: Database, queue: string): Promise<never> {
  for (;;) {
    const words: { queue?: string; credits?: number; ackTokens?: string[] }[] = [{ queue, credits: size }];
    let news = Promise.withResolvers<void>();
    const said = async function* () {
      for (;;) {
        for (let next = words.shift(); next !== undefined; next = words.shift()) yield next;
        await news.promise;
        news = Promise.withResolvers();
      }
    };
    try {
      for await (const { event } of from.subscribe(said())) {
        if (event.case !== "delivery") continue;
        const noted = await note(to, queue, [event.value]);
        words.push({ credits: 1, ackTokens: noted.map(({ ackToken }) => ackToken) });
        news.resolve();
      }
    } catch {
      await sleep(50);
    }
  }
}

/** Notes deliveries, those apart whose time has passed: somebody else may have them. */
async function note(to: Database, queue: string, deliveries: readonly Delivery[]): Promise<readonly Delivery[]> {
  const timely = deliveries.filter(({ visibleTime }) => Number(visibleTime?.seconds) * 1000 > Date.now());
  const numbers = timely.map(({ data }) => (data?.kind.case === "numberValue" ? data.kind.value : -1));
  await to.query(
    `INSERT INTO seen (queue, message_id, number, ordering_key, delivery_count)
     SELECT $1, * FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::integer[])`,
    [
      queue,
      timely.map(({ messageId }) => messageId),
      numbers,
      timely.map(({ orderingKey }) => orderingKey),
      timely.map(({ deliveryCount }) => deliveryCount),
    ],
  );
  return timely;
}
