/** Where an inbox has its events from: a consumer group of the events service. */
import type { JsonObject } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { EventService } from "#gen/events/v1/events_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { from } from "#mesh/errors.ts";
import type { InboxEvent } from "./inbox.ts";

/** An event with what its commit takes. */
export interface SourceEvent {
  readonly event: InboxEvent;
  readonly partition: number;
  readonly generation: bigint;
}

/** A stream of events that goes on behind what was committed. */
export interface EventSource {
  /** The events, those of a key in order. Ends with an error when it breaks; begin again then. */
  events(signal: AbortSignal): AsyncIterable<SourceEvent>;
  /** Says that the event, and all before it in its partition, need not come again. */
  commit(event: SourceEvent, signal: AbortSignal): Promise<void>;
}

/** What to read. */
export interface EventGroup {
  readonly topic: string;
  /** The group's name among this service's own. Instances of the service share it, and with it the events. */
  readonly group: string;
  /** Only events of these types; `payment.*` means all that begin with `payment.`. Default: all. */
  readonly types?: readonly string[];
}

/** Reads in the name of this process's service, from the oldest event on. A topic that nobody has published to yet is made, to be kept for ever. */
export function eventSource(mesh: MeshClient, { topic, group, types = [] }: EventGroup): EventSource {
  const client = mesh.client(EventService);

  async function makeTopic(signal: AbortSignal): Promise<void> {
    await client.createTopic({ topic: { name: topic } }, { signal }).catch((error: unknown) => {
      // It has been made since, by its first event.
      if (from(error).code !== Code.AlreadyExists) throw error;
    });
  }

  return {
    async *events(signal) {
      const request = { topic, group, types: [...types], fromBeginning: true };
      try {
        for await (const { item, generation } of client.subscribe(request, { signal })) {
          if (item.case !== "event") continue;
          const { id, key, type, data, producer, offset, partition, occurTime } = item.value;
          const at = occurTime === undefined ? new Date(0) : timestampDate(occurTime);
          const event = { id, topic, key, type, data: data ?? ({} as JsonObject), producer, offset, at };
          yield { event, partition, generation };
        }
      } catch (error) {
        if (from(error).code === Code.NotFound) await makeTopic(signal);
        throw error;
      }
      throw new ConnectError("the subscription ended", Code.Unavailable);
    },

    async commit({ event, partition, generation }, signal) {
      await client.commitOffset({ topic, group, partition, offset: event.offset, generation }, { signal });
    },
  };
}
