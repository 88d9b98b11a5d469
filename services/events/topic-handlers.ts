/** The contract's methods about topics. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Topic as TopicMessage } from "#gen/events/v1/event_pb.ts";
import { TopicAccess } from "#gen/events/v1/event_pb.ts";
import type { EventService } from "#gen/events/v1/events_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { alreadyExists, failedPrecondition, invalidArgument, notYours } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { callerKey, isOperator, noTopic, readingOf } from "./access.ts";
import type { Topic, TopicSettings } from "./event.ts";
import { addLog } from "./log-store.ts";
import { millisecondsOf, toTopic } from "./messages.ts";
import { changeTopic, findTopic, insertTopic, listTopics } from "./topic-store.ts";

type TopicMethods = Pick<ServiceImpl<typeof EventService>, "createTopic" | "updateTopic" | "getTopic" | "listTopics">;

/** The methods. */
export function topicHandlers({ db, clock }: { db: Database; clock: () => number }): TopicMethods {
  return {
    async createTopic({ topic }) {
      const { name, settings } = settingsOf(topic);
      if (await insertTopic(db, name, settings)) await recordChange(name, "made");
      const made = await existing(name);
      if (!sameSettings(made, settings)) throw alreadyExists(`topic ${JSON.stringify(name)} exists with other settings`);
      return { topic: toTopic(made) };
    },

    async updateTopic({ topic, updateMask }) {
      const { name, settings } = settingsOf(topic);
      const change = masked(settings, updateMask?.paths ?? []);
      // 0 partitions is what a client sends that does not mean to change them.
      if (topic?.partitions === 0) delete change.partitions;
      const before = await existing(name);
      const changed = await changeTopic(db, name, change);
      if (changed === undefined) {
        throw failedPrecondition(
          "FEWER_PARTITIONS",
          `topic ${JSON.stringify(name)} has ${before.partitions} partitions, which can only be raised`,
        );
      }
      await recordChange(name, `changed: ${Object.keys(change).join(", ")}`);
      return { topic: toTopic(changed) };
    },

    async getTopic({ name }) {
      const topic = await existing(name);
      if (readingOf(currentWho(), topic) === "nothing") throw notYours("topic", name);
      return { topic: toTopic(topic) };
    },

    async listTopics({ pageSize, pageToken }) {
      const after = decodePageToken(pageToken);
      if (after !== undefined && after.length !== 1) throw badPageToken();
      const size = pageSize || defaultPageSize;
      const found = await listTopics(db, size + 1, after?.[0] ?? "", !isOperator(currentWho()));
      const page = found.slice(0, size);
      const last = page.at(-1);
      return {
        topics: page.map(toTopic),
        nextPageToken: found.length > size && last !== undefined ? encodePageToken([last.name]) : "",
      };
    },
  };

  async function existing(name: string): Promise<Topic> {
    const topic = await findTopic(db, name);
    if (topic === undefined) throw noTopic(name);
    return topic;
  }

  async function recordChange(topic: string, detail: string): Promise<void> {
    await addLog(db, { time: clock(), kind: "topic-changed", topic, detail, producer: callerKey(currentWho()) });
  }
}

/** Partitions of a topic when nobody says how many. */
const defaultPartitions = 4;

function settingsOf(topic: TopicMessage | undefined): { name: string; settings: TopicSettings } {
  if (topic === undefined) throw invalidArgument([{ field: "topic", description: "expected a topic" }]);
  const { name, description, partitions, retention, retentionBytes, readers, publishers } = topic;
  const settings = {
    description: description.toWellFormed(),
    partitions: partitions || defaultPartitions,
    retentionMs: retention === undefined ? undefined : millisecondsOf(retention),
    retentionBytes: Number(retentionBytes),
    openToReaders: readers === TopicAccess.AUTHENTICATED,
    openToPublishers: publishers === TopicAccess.AUTHENTICATED,
  };
  return { name, settings };
}

/** The contract's names of what an update can change. */
const settingOf = {
  description: "description",
  partitions: "partitions",
  retention: "retentionMs",
  retention_bytes: "retentionBytes",
  readers: "openToReaders",
  publishers: "openToPublishers",
} as const satisfies Record<string, keyof TopicSettings>;

/** What the service sets: output only, and left out of account (AIP-203). */
const outputOnly = new Set(["name", "first_offset", "next_offset", "bytes", "create_time"]);

/** The settings that an update mask names. */
function masked(settings: TopicSettings, paths: readonly string[]): { -readonly [K in keyof TopicSettings]?: TopicSettings[K] } {
  if (paths.length === 0 || paths.includes("*")) return { ...settings };
  const names = new Map<string, keyof TopicSettings>(Object.entries(settingOf));
  const unknown = paths.find((path) => !names.has(path) && !outputOnly.has(path));
  if (unknown !== undefined) {
    throw invalidArgument([{ field: "update_mask", description: `expected fields of a topic, got ${JSON.stringify(unknown)}` }]);
  }
  const kept = new Set(paths.map((path) => names.get(path)));
  return Object.fromEntries(Object.entries(settings).filter(([name]) => kept.has(name as keyof TopicSettings)));
}

function sameSettings(topic: Topic, settings: TopicSettings): boolean {
  return Object.values(settingOf).every((name) => topic[name] === settings[name]);
}

function currentWho() {
  return currentContext() ?? { principal: undefined, caller: undefined };
}
