/** From the service's words to the contract's. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  LogKind as ContractLogKind,
  type EventSchema,
  type GroupSchema,
  type LogEntrySchema,
  TopicAccess,
  type TopicSchema,
} from "#gen/events/v1/event_pb.ts";
import { dataOf, type Event, type Topic } from "./event.ts";
import type { Group, Place } from "./group-store.ts";
import type { LogEntry, LogKind } from "./log-store.ts";

/** An event of a topic. */
export function toEvent(topic: string, event: Event): MessageInitShape<typeof EventSchema> {
  const { position, occurTime, storeTime, data: _, ...same } = event;
  const times = { occurTime: timestampFromMs(occurTime), storeTime: timestampFromMs(storeTime) };
  return { ...same, topic, offset: BigInt(position), data: dataOf(event), ...times };
}

/** A topic. */
export function toTopic(topic: Topic): MessageInitShape<typeof TopicSchema> {
  const { name, description, partitions, retentionMs } = topic;
  return {
    ...{ name, description, partitions },
    ...(retentionMs === undefined ? {} : { retention: durationOf(retentionMs) }),
    retentionBytes: BigInt(topic.retentionBytes),
    readers: accessOf(topic.openToReaders),
    publishers: accessOf(topic.openToPublishers),
    firstOffset: BigInt(topic.firstPosition),
    nextOffset: BigInt(topic.nextPosition),
    bytes: BigInt(topic.bytes),
    createTime: timestampFromMs(topic.createTime),
  };
}

/** A group with its places and how many events lie behind each. */
export function toGroup(group: Group, places: readonly Place[], lags: readonly number[]): MessageInitShape<typeof GroupSchema> {
  const { name, owner, topic, members } = group;
  const offsets = places.map(({ partition, committed, member }, index) => {
    return { partition, committedOffset: BigInt(committed), lag: BigInt(lags[index] ?? 0), memberId: member ?? "" };
  });
  const lag = lags.reduce((sum, one) => sum + one, 0);
  return { name, owner, topic, members, offsets, lag: BigInt(lag), createTime: timestampFromMs(group.createTime) };
}

/** An entry of the log. */
export function toLogEntry(entry: LogEntry): MessageInitShape<typeof LogEntrySchema> {
  const { time, kind, topic, firstPosition, lastPosition, count, producer, detail } = entry;
  return {
    ...{ topic, producer, detail, time: timestampFromMs(time), kind: logKindOf[kind], count: BigInt(count) },
    ...{ firstOffset: BigInt(firstPosition), lastOffset: BigInt(lastPosition) },
  };
}

/** Our name of each kind of the contract; what is unspecified or unknown has none. */
export const logKindName: Readonly<Record<number, LogKind>> = {
  [ContractLogKind.STORED]: "stored",
  [ContractLogKind.REPEATED]: "repeated",
  [ContractLogKind.REFUSED]: "refused",
  [ContractLogKind.RELAYED]: "relayed",
  [ContractLogKind.RELAY_FAILED]: "relay-failed",
  [ContractLogKind.EXPIRED]: "expired",
  [ContractLogKind.TOPIC_CHANGED]: "topic-changed",
  [ContractLogKind.REPLAYED]: "replayed",
};

const logKindOf: Readonly<Record<LogKind, ContractLogKind>> = {
  stored: ContractLogKind.STORED,
  repeated: ContractLogKind.REPEATED,
  refused: ContractLogKind.REFUSED,
  relayed: ContractLogKind.RELAYED,
  "relay-failed": ContractLogKind.RELAY_FAILED,
  expired: ContractLogKind.EXPIRED,
  "topic-changed": ContractLogKind.TOPIC_CHANGED,
  replayed: ContractLogKind.REPLAYED,
};

/** Milliseconds of a duration. */
export function millisecondsOf({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + Math.round(nanos / 1e6);
}

function durationOf(ms: number): MessageInitShape<typeof TopicSchema>["retention"] {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
}

function accessOf(open: boolean): TopicAccess {
  return open ? TopicAccess.AUTHENTICATED : TopicAccess.RESTRICTED;
}
