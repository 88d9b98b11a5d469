/** Where an outbox sends its events: the events service. */
import type { JsonObject } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { EventService } from "#gen/events/v1/events_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { runWithoutContext } from "#mesh/context.ts";

/** An event as an outbox keeps it. */
export interface PublishableEvent {
  /** A UUID, the same at every repeat: the events service stores it once. */
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly data: JsonObject;
  readonly at: Date;
}

/**
 * Publishes in the name of this process's service, not of the person in whose call the outbox was woken.
 *
 * @throws As PublishEvent: UNAVAILABLE and the like are worth a repeat, the others are not.
 */
export function eventPublisher(mesh: MeshClient): (event: PublishableEvent, signal: AbortSignal) => Promise<void> {
  const events = mesh.client(EventService);
  return async ({ id, topic, key, type, data, at }, signal) => {
    const request = { requestId: id, topic, key, type, data, occurTime: timestampFromDate(at) };
    await runWithoutContext(() => events.publishEvent(request, { signal }));
  };
}
