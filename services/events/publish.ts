/** From requests to events in the log. */
import { createHash } from "node:crypto";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { PublishEventRequest, PublishEventsRequest } from "#gen/events/v1/events_pb.ts";
import { runWithoutContext } from "#mesh/context.ts";
import { from, invalidArgument } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { assertMayPublish, callerKey, type Who } from "./access.ts";
import type { Appender } from "./appender.ts";
import { type Appended, type Draft, defaultTopic, type Topic } from "./event.ts";
import { addLog } from "./log-store.ts";
import type { TopicBook } from "./topic-book.ts";

/** What publishing works with. */
export interface PublisherParts {
  readonly db: Database;
  readonly topics: TopicBook;
  readonly appender: Appender;
  readonly log: Logger;
  readonly clock: () => number;
}

/** An event where it stands. */
export interface Published extends Appended {
  readonly topic: Topic;
}

/** What became of a stream of events. */
export interface PublishedMany {
  readonly stored: number;
  readonly repeated: number;
  /** The last position in each topic. */
  readonly last: ReadonlyMap<number, number>;
}

/** Publishes. */
export interface Publisher {
  one(who: Who, request: PublishEventRequest): Promise<Published>;
  many(who: Who, requests: AsyncIterable<PublishEventsRequest>): Promise<PublishedMany>;
}

/** Bytes of an event's data, as JSON, at most. Kafka's own default for a record is 1 MB. */
const maxDataBytes = 512 * 1024;

/** How much of a stream goes into one append. */
const chunk = { events: 500, bytes: 1_000_000 };

/** A publisher. Refusals are put on record. */
export function createPublisher({ db, topics, appender, log, clock }: PublisherParts): Publisher {
  async function admit(who: Who, request: PublishEventRequest): Promise<{ topic: Topic; draft: Draft }> {
    const draft = draftOf(request, callerKey(who));
    const topic = await topics.needOrMake(request.topic || defaultTopic, who);
    assertMayPublish(who, topic);
    return { topic, draft };
  }

  function recorded(who: Who, topic: string, error: unknown): ConnectError {
    const refusal = from(error);
    const entry = {
      time: clock(),
      kind: "refused",
      topic,
      count: 1,
      producer: callerKey(who),
      detail: refusal.rawMessage,
    } as const;
    if (refusals.has(refusal.code)) {
      runWithoutContext(() => addLog(db, entry)).catch((failure: unknown) => log.debug({ err: failure }, "cannot log a refusal"));
    }
    return refusal;
  }

  return {
    async one(who, request) {
      try {
        const { topic, draft } = await admit(who, request);
        const [appended] = await appender.append(topic.id, [draft]);
        if (appended === undefined) throw new Error("an append without an answer");
        return { ...appended, topic };
      } catch (error) {
        throw recorded(who, request.topic || defaultTopic, error);
      }
    },

    async many(who, requests) {
      const last = new Map<number, number>();
      let [stored, repeated, index] = [0, 0, 0];
      // While one chunk is being stored, the next is read; their order is that of the stream, since each waits for the one before.
      let storing: Promise<void> = Promise.resolve();
      let idle = true;
      let open: { topic: Topic; drafts: Draft[]; bytes: number; first: number } | undefined;

      const store = async ({ topic, drafts, first }: NonNullable<typeof open>) => {
        try {
          for (const one of await appender.append(topic.id, drafts)) {
            if (one.repeated) repeated++;
            else stored++;
            last.set(topic.id, Math.max(last.get(topic.id) ?? 0, one.event.position));
          }
        } catch (error) {
          throw at(
            drafts.length === 1 ? `[${first}]` : `[${first}..${first + drafts.length - 1}]`,
            recorded(who, topic.name, error),
          );
        }
      };
      const flush = () => {
        const full = open;
        open = undefined;
        if (full === undefined) return;
        idle = false;
        storing = storing
          .then(() => store(full))
          .then(() => {
            idle = true;
            // What came meanwhile need not wait for more.
            if (open !== undefined) flush();
          });
        storing.catch(() => undefined);
      };

      for await (const { event } of requests) {
        if (event === undefined) throw invalidArgument([{ field: `[${index}].event`, description: "expected an event" }]);
        const { topic, draft } = await admit(who, event).catch((error: unknown) => {
          throw at(`[${index}]`, recorded(who, event.topic || defaultTopic, error));
        });
        const twice = open?.drafts.some(({ requestId }) => requestId !== undefined && requestId === draft.requestId);
        const full = open !== undefined && (open.drafts.length >= chunk.events || open.bytes >= chunk.bytes);
        if (full || twice === true || (open !== undefined && open.topic.id !== topic.id)) {
          flush();
          await storing;
        }
        open ??= { topic, drafts: [], bytes: 0, first: index };
        open.drafts.push(draft);
        open.bytes += draft.data.length;
        index++;
        if (idle) flush();
      }
      flush();
      for (let before: unknown; before !== storing; ) {
        before = storing;
        await storing;
      }
      return { stored, repeated, last };
    },
  };
}

/** What is wrong with a request, not with us: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED. */
const refusals: ReadonlySet<number> = new Set([3, 5, 6, 7, 8]);

/** @throws INVALID_ARGUMENT when the data is too large. */
function draftOf({ requestId, key, type, data = {}, occurTime }: PublishEventRequest, producer: string): Draft {
  const json = JSON.stringify(data);
  const bytes = Buffer.byteLength(json);
  if (bytes > maxDataBytes) {
    throw invalidArgument([{ field: "data", description: `expected at most ${maxDataBytes} bytes as JSON, got ${bytes}` }]);
  }
  const at = occurTime === undefined ? undefined : millisecondsOf(occurTime);
  const same = { key: key.toWellFormed(), type: type || "event", data: json, occurTime: at };
  const contentHash = createHash("sha256")
    .update(JSON.stringify([same.key, same.type, at ?? null]))
    .update(canonical(data))
    .digest("hex");
  return { requestId: requestId === "" ? undefined : requestId.toLowerCase(), producer, ...same, contentHash };
}

/** JSON with names in order: a Struct on the wire has none. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === "object" && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}

/** @throws INVALID_ARGUMENT for a time outside of years 1 to 9999. */
function millisecondsOf(time: Timestamp): number {
  const ms = timestampMs(time);
  if (ms >= -62_135_596_800_000 && ms <= 253_402_300_799_999) return ms;
  throw invalidArgument([{ field: "occur_time", description: "expected a time in the years 1 to 9999" }]);
}

/** The refusal of one event of many, with its place. */
function at(place: string, { rawMessage, code, metadata, details, cause }: ConnectError): ConnectError {
  const outgoing = details.filter((detail) => "desc" in detail);
  return new ConnectError(`${place}: ${rawMessage}`, code, metadata, outgoing, cause);
}
