/** Topics by name, kept in memory until one changes: every event that is published asks for one. */
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { resourceExhausted } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { isOperator, noTopic, type Who } from "./access.ts";
import type { Topic, TopicSettings } from "./event.ts";
import { countTopics, findTopic, insertTopic } from "./topic-store.ts";

/** Finds topics. Their positions are those of the moment at which they were read; the settings are at most 10 s old. */
export interface TopicBook extends AsyncDisposable {
  /** @throws NOT_FOUND. */
  need(name: string): Promise<Topic>;
  /** As need(); makes it when services or administrators ask. @throws NOT_FOUND, or RESOURCE_EXHAUSTED with too many topics. */
  needOrMake(name: string, who: Who): Promise<Topic>;
}

/** What a book is made of. */
export interface TopicBookOptions {
  readonly db: Database;
  readonly log: Logger;
  readonly clock: () => number;
  /** What a topic is like that came with its first event. */
  readonly defaults: TopicSettings;
  readonly maxTopics: number;
}

const keptMs = 10_000;

/** Opens the book. */
export async function openTopicBook({ db, log, clock, defaults, maxTopics }: TopicBookOptions): Promise<TopicBook> {
  const kept = new Map<string, { topic: Topic; until: number }>();
  const listening = await db.listen(
    "topic_changed",
    (name) => kept.delete(name),
    () => kept.clear(),
  );

  async function find(name: string): Promise<Topic | undefined> {
    const known = kept.get(name);
    if (known !== undefined && known.until > clock()) return known.topic;
    const topic = await findTopic(db, name);
    if (topic !== undefined) kept.set(name, { topic, until: clock() + keptMs });
    return topic;
  }

  async function need(name: string): Promise<Topic> {
    const topic = await find(name);
    if (topic === undefined) throw noTopic(name);
    return topic;
  }

  return {
    need,
    async needOrMake(name, who) {
      const found = await find(name);
      if (found !== undefined) return found;
      if (!isOperator(who)) throw noTopic(name);
      if ((await countTopics(db)) >= maxTopics) throw resourceExhausted(`there are ${maxTopics} topics already`, 60_000);
      if (await runWithoutContext(() => insertTopic(db, name, defaults)))
        log.info({ topic: name }, "made a topic for its first event");
      return need(name);
    },
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}
