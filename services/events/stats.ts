/** How much is stored, and how the relay to Kafka is doing. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { GetStatsResponseSchema } from "#gen/events/v1/events_pb.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { isOperator, readingOf, type Who } from "./access.ts";
import { relayStates } from "./relay-store.ts";
import { listTopics } from "./topic-store.ts";

/** Topics in one answer at most. */
const maxTopics = 1000;

/** The answer for `who`: of the topics that it reads in full. Without a relay everything is where it is to go. */
export async function readStats(
  q: Queryable,
  o: { who: Who; subscribers: number; relay: { failure(): string | undefined } | undefined },
): Promise<MessageInitShape<typeof GetStatsResponseSchema>> {
  const operator = isOperator(o.who);
  const topics = (await listTopics(q, maxTopics, "", !operator)).filter((topic) => readingOf(o.who, topic) === "all");
  const ids = topics.map(({ id }) => id);
  const states = new Map((o.relay === undefined ? [] : await relayStates(q, ids)).map((state) => [state.topicId, state]));
  const counted = await q.query<{ n: string }>("SELECT count(*) AS n FROM consumer_group WHERE topic_id = ANY ($1)", [ids]);
  const rows = topics.map(({ id, name, firstPosition, nextPosition, bytes, lastTime }) => {
    const relayed = states.get(id)?.position;
    return {
      topic: name,
      firstOffset: BigInt(firstPosition),
      nextOffset: BigInt(nextPosition),
      events: BigInt(nextPosition - firstPosition),
      bytes: BigInt(bytes),
      relayedOffset: BigInt(relayed ?? 0),
      relayLag: BigInt(relayed === undefined ? 0 : nextPosition - 1 - relayed),
      ...(lastTime === undefined ? {} : { lastStoreTime: timestampFromMs(lastTime) }),
    };
  });
  const sum = (pick: (row: (typeof rows)[number]) => bigint) => rows.reduce((total, row) => total + pick(row), 0n);
  const times = [...states.values()].flatMap(({ successTime }) => successTime ?? []);
  // An instance that has nothing to relay learns of a failure from the one that does.
  const errors = [o.relay?.failure(), ...[...states.values()].map(({ error }) => error)].filter(
    (error) => error !== undefined && error !== "",
  );
  return {
    topics: rows,
    events: sum(({ events }) => events),
    bytes: sum(({ bytes }) => bytes),
    groups: BigInt(counted[0]?.n ?? 0),
    subscribers: operator ? o.subscribers : 0,
    relay: {
      configured: o.relay !== undefined,
      connected: o.relay !== undefined && errors.length === 0,
      lag: sum(({ relayLag }) => relayLag),
      lastError: operator ? (errors[0] ?? "") : "",
      ...(times.length === 0 ? {} : { lastSuccessTime: timestampFromMs(Math.max(...times)) }),
    },
  };
}
