/** The words of this service, apart from those of the contract. */
import type { JsonObject } from "@bufbuild/protobuf";

/** An event in the log. */
export interface Event {
  readonly id: string;
  /** Its offset in the topic, from 1 on, without gaps. */
  readonly position: number;
  readonly partition: number;
  readonly key: string;
  readonly type: string;
  /** JSON. */
  readonly data: string;
  readonly producer: string;
  /** Milliseconds since the epoch. */
  readonly occurTime: number;
  readonly storeTime: number;
}

/** An event to store. */
export interface Draft {
  /** In lower case; undefined when the call is not to be idempotent. */
  readonly requestId: string | undefined;
  /** In whose name request ids are unique; also the event's producer. */
  readonly producer: string;
  readonly key: string;
  readonly type: string;
  /** JSON. */
  readonly data: string;
  /** Milliseconds since the epoch; undefined means the time at which it is stored. */
  readonly occurTime: number | undefined;
  /** The fingerprint of what was asked for. */
  readonly contentHash: string;
}

/** What became of a draft. */
export interface Appended {
  readonly event: Event;
  /** Whether the same request had stored it before. */
  readonly repeated: boolean;
}

/** What an administrator decides about a topic. */
export interface TopicSettings {
  readonly description: string;
  readonly partitions: number;
  /** Milliseconds; undefined: for ever. */
  readonly retentionMs: number | undefined;
  /** 0: any number. */
  readonly retentionBytes: number;
  readonly openToReaders: boolean;
  readonly openToPublishers: boolean;
}

/** A topic. */
export interface Topic extends TopicSettings {
  readonly id: number;
  readonly name: string;
  /** The events that are kept are those at firstPosition and behind it, up to nextPosition. */
  readonly firstPosition: number;
  readonly nextPosition: number;
  /** Bytes of the events that are kept. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly createTime: number;
  readonly lastTime: number | undefined;
}

/** What a reader wants to see of a topic. */
export interface Filter {
  /** Only of this producer. */
  readonly producer?: string | undefined;
  readonly key?: string | undefined;
  /** Whole types, or beginnings that end in `*`; empty: all. */
  readonly types?: readonly string[];
}

/** Where people publish who name no topic. */
export const defaultTopic = "events";

/** The JSON of an event's data. Everything in the log was once made by JSON.stringify. */
export function dataOf(event: Event): JsonObject {
  return JSON.parse(event.data) as JsonObject;
}
