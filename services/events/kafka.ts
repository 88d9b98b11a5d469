/** Kafka as a place that events are relayed to: an idempotent producer that waits for all replicas. */
import { Admin, type BaseOptions, Consumer, Producer } from "@platformatic/kafka";
import type { Event } from "./event.ts";
import type { Sink } from "./relay.ts";

/** How to reach Kafka. */
export interface KafkaOptions {
  /** `host:port` of some brokers. */
  readonly brokers: readonly string[];
  /** Before each topic's name. Default none. */
  readonly prefix?: string;
  readonly tls?: boolean;
  readonly sasl?: {
    readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
    readonly username: string;
    readonly password: string;
  };
  /** Copies of each partition in topics that we make. Default -1: as the brokers say. */
  readonly replicas?: number;
}

/** The headers of each record: what a reader needs to know of the event beside its data, which is the record's value. */
export const headers = {
  id: "heddle-event-id",
  offset: "heddle-offset",
  type: "heddle-type",
  producer: "heddle-producer",
  occurTime: "heddle-occur-time",
} as const;

/** How many of the last records are looked through for ours, should others write to the topic too. */
const lookBack = 100n;

/** Kafka's error codes that say that what we want to make is there. */
const alreadyThere = /TOPIC_ALREADY_EXISTS|already exists/i;

/** Kafka behind the relay. Connects when first used, and anew after reset(). */
export function kafkaSink({ brokers, prefix = "", tls = false, sasl, replicas = -1 }: KafkaOptions): Sink {
  const options: BaseOptions = {
    ...{ clientId: "heddle-events", bootstrapBrokers: [...brokers], connectTimeout: 3000, timeout: 5000, requestTimeout: 10_000 },
    ...{ retries: 2, retryDelay: 100, autocreateTopics: false },
    ...(tls ? { tls: {} } : {}),
    ...(sasl === undefined ? {} : { sasl }),
  };
  let clients = open();

  function open() {
    const closing: (() => Promise<void>)[] = [];
    const keep = <T>(client: T, close: () => Promise<void>): T => {
      closing.push(close);
      return client;
    };
    const admin = lazy(() => {
      const client = new Admin(options);
      return keep(client, () => client.close());
    });
    const consumer = lazy(() => {
      const client = new Consumer<Buffer, Buffer, Buffer, Buffer>({ ...options, groupId: "heddle-events-relay" });
      return keep(client, () => client.close(true));
    });
    const producer = lazy(() => {
      const client = new Producer<Buffer, Buffer, Buffer, Buffer>({ ...options, idempotent: true });
      return keep(client, () => client.close(true));
    });
    return { admin, consumer, producer, close: () => Promise.allSettled(closing.map((close) => close())) };
  }

  async function partitionsOf(topic: string): Promise<number | undefined> {
    // Listed first: asking for the metadata of a topic that is not there is an error, which says less.
    if (!(await clients.admin().listTopics()).includes(topic)) return undefined;
    const metadata = await clients.admin().metadata({ topics: [topic], forceUpdate: true });
    return metadata.topics.get(topic)?.partitionsCount;
  }

  return {
    async ensure(name, partitions) {
      const topic = `${prefix}${name}`;
      const there = await partitionsOf(topic);
      if (there !== undefined && there >= partitions) return there;
      if (there === undefined) {
        await clients
          .admin()
          .createTopics({ topics: [topic], partitions, replicas })
          .catch(ignoreExisting);
      } else await clients.admin().createPartitions({ topics: [{ name: topic, count: partitions, assignments: [] }] });
      // The leaders of new partitions are known a moment later; until they are, this throws and the relay tries again.
      const now = await partitionsOf(topic);
      if (now === undefined || now < partitions) throw new Error(`topic ${topic} is being made`);
      return now;
    },

    async written(name) {
      const topic = `${prefix}${name}`;
      const { topics } = await clients.admin().metadata({ topics: [topic], forceUpdate: true });
      const metadata = topics.get(topic);
      if (metadata === undefined) throw new Error(`Kafka has no topic ${topic}`);
      const ends = (await clients.consumer().listOffsets({ topics: [topic] })).get(topic) ?? [];
      const starts = (await clients.consumer().listOffsets({ topics: [topic], timestamp: -2n })).get(topic) ?? [];
      const last = new Map<number, number>();
      for (const [partition, { leader }] of metadata.partitions.entries()) {
        const [start = 0n, end = 0n] = [starts[partition], ends[partition]];
        if (end <= start) continue;
        const from = end - lookBack > start ? end - lookBack : start;
        last.set(partition, await lastPosition(metadata.id, partition, leader, from, end));
      }
      return last;
    },

    async send(name, batch) {
      const topic = `${prefix}${name}`;
      const messages = batch.map(({ event, partition }) => ({
        ...{ topic, partition, key: Buffer.from(event.key), value: Buffer.from(event.data) },
        ...{ headers: headersOf(event), timestamp: BigInt(event.storeTime) },
      }));
      await clients.producer().send({ messages });
    },

    async reset() {
      const old = clients;
      clients = open();
      // A connection that hangs takes a while to close, and nobody needs to wait for it.
      void old.close();
    },

    async [Symbol.asyncDispose]() {
      await clients.close();
    },
  };

  /** The highest position among the last records of a partition. */
  async function lastPosition(topicId: string, partition: number, node: number, from: bigint, end: bigint): Promise<number> {
    let position = 0;
    for (let offset = from; offset < end; ) {
      const wanted = { partition, currentLeaderEpoch: -1, fetchOffset: offset, lastFetchedEpoch: -1, partitionMaxBytes: 1 << 20 };
      const { responses } = await clients
        .consumer()
        .fetch({ node, maxWaitTime: 500, topics: [{ topicId, partitions: [wanted] }] });
      const batches = responses[0]?.partitions[0]?.records ?? [];
      const before = offset;
      for (const { firstOffset, lastOffsetDelta, records } of batches) {
        for (const record of records) position = Math.max(position, positionOf(record.headers));
        offset = firstOffset + BigInt(lastOffsetDelta) + 1n;
      }
      if (offset <= before)
        throw new Error(`Kafka answered no records of partition ${partition} from offset ${before} on, of ${end}`);
    }
    return position;
  }
}

function headersOf({ id, position, type, producer, occurTime }: Event): Map<Buffer, Buffer> {
  const values = { id, offset: String(position), type, producer, occurTime: new Date(occurTime).toISOString() };
  const names = Object.keys(values) as (keyof typeof values)[];
  return new Map(names.map((name) => [Buffer.from(headers[name]), Buffer.from(values[name])]));
}

function positionOf(pairs: readonly (readonly [Buffer | null, Buffer | null])[]): number {
  const value = pairs.find(([name]) => name?.toString() === headers.offset)?.[1]?.toString() ?? "";
  return /^\d{1,15}$/.test(value) ? Number(value) : 0;
}

function ignoreExisting(error: unknown): void {
  const texts = [error, ...(error instanceof AggregateError ? error.errors : [])].map(String);
  if (!texts.some((text) => alreadyThere.test(text))) throw error;
}

function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
