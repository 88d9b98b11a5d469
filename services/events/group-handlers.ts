/** The contract's methods about consumer groups. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type { EventService } from "#gen/events/v1/events_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { aborted, failedPrecondition, invalidArgument, notFound, resourceExhausted } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { callerKey, groupOwner, isOperator, noTopic, readableProducer, type Who } from "./access.ts";
import { defaultTopic, type Topic } from "./event.ts";
import {
  commit,
  countGroups,
  deleteGroup,
  ensureGroup,
  findGroup,
  type Group,
  lags,
  listGroups,
  moveGroup,
  placesOf,
} from "./group-store.ts";
import { addLog } from "./log-store.ts";
import { toGroup } from "./messages.ts";
import { findTopic } from "./topic-store.ts";

type GroupMethods = Pick<ServiceImpl<typeof EventService>, "commitOffset" | "replay" | "getGroup" | "listGroups" | "deleteGroup">;

/** Groups that a person may have. */
const maxGroups = 100;

/** The methods. */
export function groupHandlers({ db, clock }: { db: Database; clock: () => number }): GroupMethods {
  return {
    async commitOffset({ group: name, topic: topicName, partition, offset, generation, owner }) {
      const { topic, group } = await find(name, topicName, owner);
      if (offset >= BigInt(topic.nextPosition)) {
        throw invalidArgument([
          { field: "offset", description: `expected an offset before ${topic.nextPosition}, got ${offset}` },
        ]);
      }
      const place = { groupId: group.id, partition, position: Number(offset), generation: Number(generation) };
      const committed = await commit(db, place);
      if (committed === undefined) throw notFound("partition", String(partition));
      if (committed === "fenced") throw aborted(`partition ${partition} is read by another member now`);
      return { committedOffset: BigInt(committed) };
    },

    async replay({ group: name, topic: topicName, from, owner }) {
      const who = currentWho();
      const topic = await readable(who, topicName);
      const by = groupOwner(who, owner, name);
      const target = await targetOf(topic, from);
      const groupId = await joinableGroup(db, who, { owner: by, name, topic, start: target });
      await moveGroup(db, groupId, target);
      const detail = `group ${name} of ${by} goes on behind ${target}`;
      await addLog(db, { time: clock(), kind: "replayed", topic: topic.name, producer: callerKey(who), detail });
      return { group: await view(await needGroup(by, name, topic), who, topic) };
    },

    async getGroup({ group: name, topic: topicName, owner }) {
      const { topic, group } = await find(name, topicName, owner);
      return { group: await view(group, currentWho(), topic) };
    },

    async listGroups({ topic: topicName, pageSize, pageToken }) {
      const who = currentWho();
      const after = decodePageToken(pageToken);
      if (after !== undefined && (after.length !== 1 || !/^\d{1,18}$/.test(after[0] ?? ""))) throw badPageToken();
      const size = pageSize || defaultPageSize;
      const owner = isOperator(who) ? undefined : callerKey(who);
      const found = await listGroups(db, { owner, topic: topicName, size: size + 1, after: after?.[0] ?? "0" });
      const page = found.slice(0, size);
      const groups = await Promise.all(
        page.map(async (group) => {
          const topic = await findTopic(db, group.topic);
          return topic === undefined ? [] : [await view(group, who, topic)];
        }),
      );
      const last = page.at(-1);
      return {
        groups: groups.flat(),
        nextPageToken: found.length > size && last !== undefined ? encodePageToken([last.id]) : "",
      };
    },

    async deleteGroup({ group: name, topic: topicName, owner }) {
      const { group } = await find(name, topicName, owner);
      if (!(await deleteGroup(db, group.id)))
        throw failedPrecondition("GROUP_IN_USE", `group ${JSON.stringify(name)} has members`);
      return {};
    },
  };

  async function readable(who: Who, name: string): Promise<Topic> {
    const topic = await findTopic(db, name || defaultTopic);
    if (topic === undefined) throw noTopic(name || defaultTopic);
    readableProducer(who, topic);
    return topic;
  }

  async function find(name: string, topicName: string, owner: string): Promise<{ topic: Topic; group: Group }> {
    const who = currentWho();
    const topic = await readable(who, topicName);
    return { topic, group: await needGroup(groupOwner(who, owner, name), name, topic) };
  }

  async function needGroup(owner: string, name: string, topic: Topic): Promise<Group> {
    const group = await findGroup(db, owner, name, topic.id);
    if (group === undefined) throw notFound("group", name);
    return group;
  }

  async function view(group: Group, who: Who, topic: Topic) {
    const places = await placesOf(db, group.id);
    return toGroup(group, places, await lags(db, topic.id, places, producerOf(who, group, topic)));
  }

  async function targetOf(topic: Topic, from: { case?: string | undefined; value?: unknown }): Promise<number> {
    if (from.case === "fromOffset")
      return Math.max(topic.firstPosition - 1, Math.min(Number(from.value) - 1, topic.nextPosition - 1));
    const time = new Date(timestampMs(from.value as Parameters<typeof timestampMs>[0]));
    if (Number.isNaN(time.getTime())) throw invalidArgument([{ field: "from_time", description: "expected a time" }]);
    const rows = await db.query<{ last: string }>("SELECT position_before($1, $2) AS last", [topic.id, time]);
    return Number(rows[0]?.last ?? 0);
  }
}

/** The group's id, made when the caller has none of that name. @throws RESOURCE_EXHAUSTED when a person has too many. */
export async function joinableGroup(
  db: Database,
  who: Who,
  { owner, name, topic, start }: { owner: string; name: string; topic: Topic; start: number },
): Promise<string> {
  const there = await findGroup(db, owner, name, topic.id);
  if (there === undefined && !isOperator(who) && (await countGroups(db, owner)) >= maxGroups) {
    throw resourceExhausted(`there are ${maxGroups} groups already: delete one`, 60_000);
  }
  return ensureGroup(db, { owner, name, topicId: topic.id, partitions: topic.partitions, start });
}

/** Whose events count: what the group's owner may read of the topic, which is its own where the topic is not open. */
function producerOf(who: Who, group: Group, topic: Topic): string | undefined {
  if (topic.openToReaders || !group.owner.startsWith("user:")) return undefined;
  return group.owner === callerKey(who) && isOperator(who) ? undefined : group.owner;
}

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}
