/** How many messages a second the queue service publishes and consumes on PostgreSQL, beside pg-boss alone on the same server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fromJson } from "@bufbuild/protobuf";
import { durationFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { PgBoss } from "pg-boss";
import { Order } from "../gen/queue/v1/message_pb.ts";
import { QueueService } from "../gen/queue/v1/queue_pb.ts";
import { mochaHooks, startMesh, testDatabase } from "../mesh/testing.ts";
import { median } from "./median.ts";

/** Messages of one round, in calls of this many, by this many publishers and as many consumers at the same time. */
const messages = 10_000;
const size = 100;
const workers = 4;
const rounds = 5;

/** Something that passes messages on. */
interface Subject {
  readonly name: string;
  publish(first: number): Promise<void>;
  /** Takes and acknowledges; answers with how many. */
  consume(): Promise<number>;
}

/**
 * Five rounds of each, in turns, after one to warm up; each publishes and consumes 10,000 messages of 100 bytes in calls of 100. The service is a
 * process of its own and is called over gRPC; pg-boss runs in the process of the bench.
 */
export async function queue(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => mochaHooks.afterAll());
  const mesh = undo.use(await startMesh([], { env: { QUEUE_DATABASE_URL: await testDatabase() } }));
  const env = { PATH: process.env.PATH, ...mesh.env, HEDDLE_LOG_LEVEL: "warn" };
  const service = spawn(process.execPath, ["services/queue/service.ts"], { env, stdio: ["ignore", "inherit", "inherit"] });
  undo.defer(async () => {
    const exited = once(service, "exit");
    service.kill("SIGTERM");
    await exited;
  });
  const client = mesh.client(QueueService);
  await until(async () => (await client.listQueues({})).queues !== undefined);
  await client.createQueue({ queue: { name: "plain" } });
  await client.createQueue({ queue: { name: "ordered", order: Order.PER_KEY } });

  const boss = new PgBoss({ connectionString: await testDatabase(), supervise: false, schedule: false });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  undo.defer(() => boss.stop({ graceful: false }));
  await boss.createQueue("plain");

  const subjects = [
    bossSubject(boss),
    serviceSubject(client, "plain", () => ""),
    serviceSubject(client, "ordered", (n) => `k${n % 500}`),
  ];
  const rates = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const subject of subjects) {
      const rate = await measure(subject);
      if (round > 0) rates.get(subject.name)?.push(rate);
    }
  }
  for (const [name, some] of rates) {
    const [low, high] = [Math.min(...some), Math.max(...some)].map((rate) => Math.round(rate));
    console.log(
      `${name}: ${Math.round(median(some))} messages/s published and consumed (median of ${rounds}: ${low} to ${high})`,
    );
  }
  console.log(`depth 1, ${workers * 8} callers at once, "plain": ${Math.round(await single(client))} messages/s published`);
}

/** Messages a second, from the first publish to the last acknowledgement. */
async function measure({ publish, consume }: Subject): Promise<number> {
  const from = performance.now();
  let consumed = 0;
  let next = 0;
  const publishing = Array.from({ length: workers }, async () => {
    for (let first = next; first < messages; first = next) {
      next += size;
      await publish(first);
    }
  });
  const consuming = Array.from({ length: workers }, async () => {
    while (consumed < messages) {
      const count = await consume();
      consumed += count;
    }
  });
  await Promise.all([...publishing, ...consuming]);
  return (messages / (performance.now() - from)) * 1000;
}

function serviceSubject(client: Client<typeof QueueService>, queueName: string, keyOf: (n: number) => string): Subject {
  return {
    name: `queue service, "${queueName}"`,
    async publish(first) {
      const some = Array.from({ length: size }, (_, index) => ({
        data: value(first + index),
        orderingKey: keyOf(first + index),
      }));
      await client.publishBatch({ queue: queueName, messages: some });
    },
    async consume() {
      const { deliveries } = await client.pull({ queue: queueName, maxMessages: size, wait: durationFromMs(200) });
      if (deliveries.length === 0) return 0;
      await client.ack({ queue: queueName, ackTokens: deliveries.map(({ ackToken }) => ackToken) });
      return deliveries.length;
    },
  };
}

function bossSubject(boss: PgBoss): Subject {
  return {
    name: "pg-boss alone",
    async publish(first) {
      await boss.insert(
        "plain",
        Array.from({ length: size }, (_, index) => ({ data: payload(first + index) })),
      );
    },
    async consume() {
      const jobs = await boss.fetch("plain", { batchSize: size });
      if (jobs.length > 0) await boss.complete("plain", jobs);
      else await new Promise((resolve) => setTimeout(resolve, 5));
      return jobs.length;
    },
  };
}

async function single(client: Client<typeof QueueService>): Promise<number> {
  const from = performance.now();
  let next = 0;
  const publishing = Array.from({ length: workers * 8 }, async () => {
    while (next++ < messages / 5) await client.publish({ queue: "plain", message: { data: value(next) } });
  });
  await Promise.all(publishing);
  return (messages / 5 / (performance.now() - from)) * 1000;
}

function payload(number: number) {
  return { number, text: "x".repeat(80) };
}

function value(number: number) {
  return fromJson(ValueSchema, payload(number));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; ) {
    if (await condition().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the queue service did not start");
}
