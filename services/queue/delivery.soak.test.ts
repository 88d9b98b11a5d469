/**
 * Nothing is lost, whatever is killed: messages published while queue instances, consumers and the broker die at random.
 *
 * Short: 1,000 messages, and each kind of victim is killed once or twice. With HEDDLE_SOAK=1: 50,000 messages, a victim every 4 s.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Order } from "#gen/queue/v1/message_pb.ts";
import { QueueService } from "#gen/queue/v1/queue_pb.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { needRabbit, type RabbitServer, startRabbit } from "../../e2e/servers/rabbitmq.ts";
import { eventually, json, silent } from "./queue.fixture.ts";

const long = process.env.HEDDLE_SOAK === "1";
const total = long ? 50_000 : 1000;
const keys = 50;
const batch = 50;
const killEveryMs = long ? 4000 : 1500;
/** Milliseconds between two batches, so that the kills fall among them. */
const pauseMs = long ? 240 : 1000;
const visibilityMs = long ? 20_000 : 5000;

describe("queue delivery under kills", function () {
  this.timeout(long ? 1_800_000 : 240_000);

  it(`PostgreSQL: ${total} messages, 8 consumers, kills of queue and consumers`, async () => {
    await run(undefined);
  });

  it(`RabbitMQ: ${total} messages, 8 consumers, kills of queue, consumers and broker`, async function () {
    await using rabbit = await startRabbit(needRabbit(this));
    await run(rabbit);
  });
});

/** What is killed and started again. */
interface Victim {
  readonly what: string;
  /** Settles when it is killed, started again, and ready. */
  kill(): Promise<void>;
}

async function run(rabbit: RabbitServer | undefined): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const seenUrl = await testDatabase();
  const db = undo.use(await openDatabase({ url: seenUrl, service: "test", log: silent }));
  await db.query(`CREATE TABLE seen (id bigint GENERATED ALWAYS AS IDENTITY, queue text, message_id uuid, number integer,
    ordering_key text, delivery_count integer)`);
  await db.query("CREATE INDEX ON seen (queue, number)");
  const mesh = undo.use(await startMesh([], { env: { QUEUE_DATABASE_URL: await testDatabase() } }));
  const env = { ...mesh.env, ...(rabbit === undefined ? {} : { AMQP_URL: rabbit.url }) };
  const queues = await Promise.all([1, 2].map((n) => startVictim(undo, `queue ${n}`, "services/queue/service.ts", env)));
  const client = mesh.client(QueueService);
  await persist(async () => {
    const rules = { visibilityTimeout: durationFromMs(visibilityMs), maxDeliveries: 1000 };
    for (const [name, order] of [
      ["plain", Order.NONE],
      ["ordered", Order.PER_KEY],
    ] as const) {
      await client.createQueue({ queue: { name, order, ...rules } }).catch((error: unknown) => {
        if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
      });
    }
  });
  // Two consumers of each queue and kind: pulling and subscribing, eight in four processes.
  const own = { ...mesh.env, SOAK_DATABASE_URL: seenUrl };
  const names = ["plain,plain", "plain,plain", "ordered,ordered", "ordered,ordered"];
  const consumer = "services/queue/soak-consumer.fixture.ts";
  const consumers = await Promise.all(
    names.map((queues, n) => startVictim(undo, `consumer ${n + 1}`, consumer, { ...own, SOAK_QUEUES: queues })),
  );
  const broker = rabbit === undefined ? [] : [brokerOf(rabbit)];
  const stop = new AbortController();
  const victims = long ? [...queues, ...consumers, ...broker] : [...queues.slice(0, 1), ...consumers.slice(1, 3), ...broker];
  const kills = killing(victims, stop.signal);
  const from = performance.now();
  const ambiguous = await publishAll(mesh);
  const publishedMs = performance.now() - from;
  if (!long) await kills;
  await eventually("every message", async () => (await distinct(db)) === total, long ? 900_000 : 120_000);
  const seconds = (performance.now() - from) / 1000;
  stop.abort();
  const killed = await kills;
  await check(db, ambiguous);
  const { rows, redelivered } = await deliveries(db);
  const name = rabbit === undefined ? "PostgreSQL" : "RabbitMQ";
  console.log(
    `      ${name}: ${total} published in ${(publishedMs / 1000).toFixed(1)} s, all seen after ${seconds.toFixed(1)} s`,
  );
  console.log(
    `      killed: ${Object.entries(killed)
      .map(([what, count]) => `${what} ${count}`)
      .join(", ")}`,
  );
  console.log(`      0 lost; ${rows} deliveries, ${redelivered} of them marked as redelivered; order kept in ${keys} keys`);
}

/** Publishes half into each queue. Answers with the numbers that may have been published twice, since nobody knows. */
async function publishAll(mesh: TestMesh): Promise<ReadonlySet<number>> {
  const client = mesh.client(QueueService);
  const ambiguous = new Set<number>();
  const publish = async (queue: string, first: number) => {
    for (let number = first; number < first + total / 2; number += batch) {
      // Every other batch of the plain queue has no keys: a publish that failed may have happened all the same.
      const keyed = queue === "ordered" || (number / batch) % 2 === 0;
      const messages = Array.from({ length: batch }, (_, index) => ({
        data: json(number + index),
        deduplicationKey: keyed ? String(number + index) : "",
        orderingKey: queue === "ordered" ? `key-${index % keys}` : "",
      }));
      await persist(
        () => client.publishBatch({ queue, messages }),
        () => {
          if (!keyed) for (let index = 0; index < batch; index++) ambiguous.add(number + index);
        },
      );
      await sleep(pauseMs);
    }
  };
  await Promise.all([publish("plain", 0), publish("ordered", total / 2)]);
  return ambiguous;
}

async function check(db: Database, ambiguous: ReadonlySet<number>): Promise<void> {
  const twice = await db.query<{ number: number }>(
    "SELECT number FROM seen GROUP BY queue, number HAVING count(DISTINCT message_id) > 1",
  );
  assert.deepEqual(
    twice.filter(({ number }) => !ambiguous.has(number)),
    [],
    "published twice",
  );
  const unmarked = await db.query("SELECT message_id FROM seen WHERE delivery_count = 1 GROUP BY message_id HAVING count(*) > 1");
  assert.deepEqual(unmarked, [], "delivered again without a mark");
  const passed = await db.query(
    `SELECT ordering_key, number, before FROM (SELECT ordering_key, number,
       lag(number) OVER (PARTITION BY ordering_key ORDER BY id) AS before FROM seen WHERE queue = 'ordered') AS pairs WHERE number < before`,
  );
  assert.deepEqual(passed, [], "out of order");
}

async function distinct(db: Database): Promise<number> {
  const [row] = await db.query<{ n: number }>("SELECT count(DISTINCT number)::integer AS n FROM seen");
  return row?.n ?? 0;
}

async function deliveries(db: Database): Promise<{ rows: number; redelivered: number }> {
  const [row] = await db.query<{ rows: number; redelivered: number }>(
    "SELECT count(*)::integer AS rows, count(*) FILTER (WHERE delivery_count > 1)::integer AS redelivered FROM seen",
  );
  return row ?? { rows: 0, redelivered: 0 };
}

/**
 * Kills in turns of all, each turn in another order, so that each kind has its share: one turn in the short form, no end in the long one. Answers
 * with how often each kind was killed.
 */
async function killing(victims: readonly Victim[], signal: AbortSignal): Promise<Record<string, number>> {
  const killed: Record<string, number> = {};
  for (let order = shuffled(victims); order.length > 0 && !signal.aborted; ) {
    await sleep(killEveryMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
    const victim = order.pop();
    if (signal.aborted || victim === undefined) break;
    await victim.kill();
    const kind = victim.what.split(" ")[0] ?? "";
    killed[kind] = (killed[kind] ?? 0) + 1;
    if (order.length === 0 && long) order = shuffled(victims);
  }
  return killed;
}

function shuffled<T>(items: readonly T[]): T[] {
  const mixed = items.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at);
  return mixed.map(({ item }) => item);
}

function brokerOf(rabbit: RabbitServer): Victim {
  const kill = async () => {
    await rabbit.kill();
    await rabbit.restart();
  };
  return { what: "broker", kill };
}

/** A process that says when it is ready, and is started again when it is killed. */
async function startVictim(
  undo: AsyncDisposableStack,
  what: string,
  program: string,
  env: Record<string, string>,
): Promise<Victim> {
  const start = async () => {
    const environment = { PATH: process.env.PATH, ...env, HEDDLE_LOG_LEVEL: "info" };
    const started = spawn(process.execPath, [program], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
    const ready = Promise.withResolvers<void>();
    started.stdout.on("data", (text: Buffer) => text.includes('"serving"') && ready.resolve());
    started.once("exit", () => ready.reject(new Error(`${what} ended`)));
    ready.promise.catch(() => undefined);
    child = started;
    await ready.promise;
  };
  const end = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  let child: ChildProcess | undefined;
  undo.defer(end);
  await start();
  return {
    what,
    async kill() {
      await end();
      await start();
    },
  };
}

/** Repeats until it succeeds. `onFailure` hears of each failure. */
async function persist(work: () => Promise<unknown>, onFailure: () => void = () => {}): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const { code } = ConnectError.from(error);
      const passing = [
        Code.Unavailable,
        Code.DeadlineExceeded,
        Code.Aborted,
        Code.Unknown,
        Code.Internal,
        Code.ResourceExhausted,
      ];
      if (!passing.includes(code)) throw error;
      onFailure();
      await sleep(100);
    }
  }
}
