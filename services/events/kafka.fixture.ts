/** What Kafka has, read with its own client. */
import { Consumer } from "@platformatic/kafka";
import { headers } from "./kafka.ts";

/** A record of ours. */
export interface KafkaEvent {
  readonly partition: number;
  readonly key: string;
  readonly data: { readonly n: number };
  readonly id: string;
  readonly position: number;
}

/** Everything in a topic, each partition in its order. */
export async function readKafka(broker: string, topic: string): Promise<KafkaEvent[]> {
  const consumer = new Consumer({ clientId: "test", groupId: `test-${Math.random()}`, bootstrapBrokers: [broker] });
  try {
    const ends = (await consumer.listOffsets({ topics: [topic] })).get(topic) ?? [];
    const count = ends.reduce((sum, end) => sum + Number(end), 0);
    const offsets = ends.map((_, partition) => ({ topic, partition, offset: 0n }));
    const stream = await consumer.consume({ topics: [topic], mode: "manual", offsets, autocommit: false, maxWaitTime: 100 });
    const found: KafkaEvent[] = [];
    if (count === 0) return found;
    for await (const { partition, key, value, headers: pairs } of stream) {
      const header = (name: string) => [...pairs].find(([own]) => own.toString() === name)?.[1].toString() ?? "";
      found.push({
        ...{ partition, key: key.toString(), data: JSON.parse(value.toString()) as { n: number } },
        ...{ id: header(headers.id), position: Number(header(headers.offset)) },
      });
      if (found.length >= count) break;
    }
    return found;
  } finally {
    await consumer.close(true);
  }
}
