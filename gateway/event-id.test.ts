import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { EventSchema, TopicSchema } from "#gen/events/v1/event_pb.ts";
import { SubscribeResponseSchema } from "#gen/events/v1/events_pb.ts";
import { eventIdOf } from "./event-id.ts";

describe("gateway/event-id", () => {
  it("is the marked field of the message itself", () => {
    assert.equal(eventIdOf(EventSchema)?.(create(EventSchema, { offset: 42n })), "42");
  });

  it("is the marked field of a message that it holds, and empty where that is another of a oneof", () => {
    const id = eventIdOf(SubscribeResponseSchema);
    const event = create(SubscribeResponseSchema, { item: { case: "event", value: { offset: 7n } } });
    const assignment = create(SubscribeResponseSchema, { item: { case: "assignment", value: { memberId: "m" } } });
    assert.deepEqual([id?.(event), id?.(assignment), id?.(create(SubscribeResponseSchema))], ["7", "", ""]);
  });

  it("is undefined where no field is marked", () => assert.equal(eventIdOf(TopicSchema), undefined));
});
