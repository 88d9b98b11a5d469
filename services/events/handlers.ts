/** The contract's methods about events: messages to domain values, rules, store, and back. Topics and groups have files of their own. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { PublishStatus } from "#gen/events/v1/event_pb.ts";
import { EventService, type SubscribeRequest, type SubscribeResponseSchema } from "#gen/events/v1/events_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { invalidArgument } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { callerKey, isOperator, noTopic, readableProducer, type Who } from "./access.ts";
import { defaultTopic, type Topic } from "./event.ts";
import { readPage } from "./event-store.ts";
import { groupHandlers, joinableGroup } from "./group-handlers.ts";
import { listLogs } from "./log-store.ts";
import { readAsMember } from "./membership.ts";
import { logKindName, toEvent, toLogEntry } from "./messages.ts";
import type { Publisher } from "./publish.ts";
import { readStats } from "./stats.ts";
import { expiredOffset, readFrom } from "./subscription.ts";
import type { Tail } from "./tail.ts";
import { topicHandlers } from "./topic-handlers.ts";
import { findTopic } from "./topic-store.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly db: Database;
  readonly publisher: Publisher;
  readonly tail: Tail;
  readonly log: Logger;
  readonly clock: () => number;
  /** How many subscriptions are served now. */
  readonly subscribers: { count: number };
  /** The relay to Kafka; undefined when there is none. */
  readonly relay: RelayView | undefined;
}

/** What a caller may learn of the relay. */
export interface RelayView {
  /** Milliseconds that a publisher waits for Kafka. */
  readonly waitMs: number;
  /** Why the last attempt failed; undefined when it did not. */
  failure(): string | undefined;
}

/** The contract and its methods. */
export function eventHandlers(parts: HandlerParts): Implementation {
  const { db, publisher, tail, log, clock, subscribers, relay } = parts;
  return implement(EventService, {
    ...topicHandlers({ db, clock }),
    ...groupHandlers({ db, clock }),

    async publishEvent(request) {
      const { event, topic } = await publisher.one(currentWho(), request);
      return { event: toEvent(topic.name, event), status: await statusOf(topic.id, event.position) };
    },

    async publishEvents(requests) {
      const { stored, repeated, last } = await publisher.many(currentWho(), requests);
      const statuses = await Promise.all([...last].map(([topicId, position]) => statusOf(topicId, position)));
      const status = statuses.includes(PublishStatus.QUEUED) ? PublishStatus.QUEUED : PublishStatus.SENT;
      return { stored: BigInt(stored), repeatedCount: BigInt(repeated), status };
    },

    async listEvents({ topic: name, fromOffset, pageSize, pageToken, types }) {
      const topic = await existing(name);
      const producer = readableProducer(currentWho(), topic);
      const token = decodePageToken(pageToken);
      if (token !== undefined && (token.length !== 1 || !/^\d{1,15}$/.test(token[0] ?? ""))) throw badPageToken();
      const first = Number(token?.[0] ?? fromOffset) || topic.firstPosition;
      const [end, size, filter] = [topic.nextPosition - 1, pageSize || defaultPageSize, { producer, types }];
      const page = await readPage(db, { topicId: topic.id, after: first - 1, end, size, filter });
      if (page.expired) throw expiredOffset(first);
      const nextPageToken = page.scanned < end ? encodePageToken([page.scanned + 1]) : "";
      return { events: page.events.map((event) => toEvent(name, event)), nextPageToken };
    },

    subscribe(request, { signal, requestHeader, responseHeader }) {
      // No generator: the context of the call is here now.
      const lastEventId = requestHeader.get("last-event-id");
      const resumed = lastEventId !== null && /^\d{1,15}$/.test(lastEventId) && request.group === "";
      if (resumed) responseHeader.set("last-event-id", lastEventId);
      count(signal);
      return subscribe(currentWho(), request, resumed ? Number(lastEventId) : undefined, signal);
    },

    async getStats() {
      return readStats(db, { who: currentWho(), subscribers: subscribers.count, relay });
    },

    async listLogs(request) {
      const { topic, kind, producer, offset, fromTime, toTime, pageSize, pageToken } = request;
      const who = currentWho();
      const token = decodePageToken(pageToken);
      if (token !== undefined && (token.length !== 1 || !/^\d{1,18}$/.test(token[0] ?? ""))) throw badPageToken();
      const size = pageSize || defaultPageSize;
      const found = await listLogs(db, {
        ...{ topic, kind: logKindName[kind], position: Number(offset), size: size + 1 },
        producer: isOperator(who) ? producer : callerKey(who),
        from: fromTime === undefined ? undefined : millisecondsOf("from_time", fromTime),
        to: toTime === undefined ? undefined : millisecondsOf("to_time", toTime),
        before: token?.[0] === undefined ? undefined : BigInt(token[0]),
      });
      const page = found.slice(0, size);
      const last = page.at(-1);
      return {
        entries: page.map(toLogEntry),
        nextPageToken: found.length > size && last !== undefined ? encodePageToken([last.id]) : "",
      };
    },
  });

  async function* subscribe(
    who: Who,
    request: SubscribeRequest,
    lastEventId: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<MessageInitShape<typeof SubscribeResponseSchema>> {
    const topic = await existing(request.topic || defaultTopic);
    const { types, key } = request;
    const filter = { producer: readableProducer(who, topic), types, ...(key === "" ? {} : { key }) };
    const [topicId, oldest, latest] = [topic.id, topic.firstPosition - 1, topic.nextPosition - 1];
    if (request.group === "") {
      const from = request.fromOffset > 0n ? Number(request.fromOffset) - 1 : request.fromBeginning ? oldest : latest;
      const after = lastEventId ?? from;
      if (after < oldest) throw expiredOffset(after + 1);
      for await (const event of readFrom({ db, tail, topicId, after, filter, signal })) {
        yield { item: { case: "event", value: toEvent(topic.name, event) } };
      }
      return;
    }
    const start = request.fromBeginning ? oldest : latest;
    const groupId = await joinableGroup(db, who, { owner: callerKey(who), name: request.group, topic, start });
    for await (const item of readAsMember({ db, tail, log, groupId, topicId, filter, signal })) {
      if (item.kind === "event") {
        const { event, generation } = item;
        yield { item: { case: "event", value: toEvent(topic.name, event) }, generation: BigInt(generation) };
      } else {
        const { memberId, partitions } = item;
        yield { item: { case: "assignment", value: { memberId, partitions: [...partitions] } } };
      }
    }
  }

  /** Its signal aborts at the end of every call, good or bad. */
  function count(signal: AbortSignal): void {
    subscribers.count++;
    if (signal.aborted) subscribers.count--;
    else signal.addEventListener("abort", () => subscribers.count--, { once: true });
  }

  async function statusOf(topicId: number, position: number): Promise<PublishStatus> {
    if (relay === undefined) return PublishStatus.SENT;
    // While Kafka is known to be away nobody needs to wait to learn it.
    const waitMs = relay.failure() === undefined ? relay.waitMs : 0;
    return (await tail.relayed(topicId, position, waitMs)) ? PublishStatus.SENT : PublishStatus.QUEUED;
  }

  async function existing(name: string): Promise<Topic> {
    const topic = await findTopic(db, name);
    if (topic === undefined) throw noTopic(name);
    return topic;
  }
}

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

/** @throws INVALID_ARGUMENT outside the years 1 to 9999, which google.protobuf.Timestamp allows. */
function millisecondsOf(field: string, time: Timestamp): number {
  const ms = timestampMs(time);
  if (ms >= -62_135_596_800_000 && ms <= 253_402_300_799_999) return ms;
  throw invalidArgument([{ field, description: "expected a time between the years 1 and 9999" }]);
}
