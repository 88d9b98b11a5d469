import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Channel } from "#gen/notification/v1/message_pb.ts";
import {
  CreateTemplateRequestSchema,
  SendRequestSchema,
  UpdateTemplateRequestSchema,
} from "#gen/notification/v1/notification_pb.ts";
import { Validation } from "./validation.ts";

/** The fields that are named when the message is refused. */
function refusedFields(check: () => unknown): readonly string[] {
  try {
    check();
  } catch (error) {
    assert(error instanceof ConnectError && error.code === Code.InvalidArgument, String(error));
    return error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
  }
  return [];
}

const sms = (changes: MessageInitShape<typeof SendRequestSchema>) => {
  const content = { case: "text", value: { body: "there" } } as const;
  return create(SendRequestSchema, { channel: Channel.SMS, recipient: "+4915112345678", content, ...changes });
};

describe("the field that a broken rule is about", () => {
  const validation = new Validation();

  it("none when all is well", () => {
    assert.deepEqual(
      refusedFields(() => validation.checked(SendRequestSchema, sms({}))),
      [],
    );
  });

  it('an SMS to "12", against the rule recipient.sms of the message: recipient', () => {
    assert.deepEqual(
      refusedFields(() => validation.checked(SendRequestSchema, sms({ recipient: "12" }))),
      ["recipient"],
    );
  });

  it("a standard rule of a field: the field alone", () => {
    const message = sms({ requestId: "1" });
    assert.deepEqual(
      refusedFields(() => validation.checked(SendRequestSchema, message)),
      ["request_id"],
    );
  });

  it("a oneof that is required: its name", () => {
    const message = create(SendRequestSchema, { channel: Channel.PUSH });
    assert.deepEqual(
      refusedFields(() => validation.checked(SendRequestSchema, message)),
      ["content"],
    );
  });

  it("the rule template.body, of the message or of its field template: template.body", () => {
    const template = { name: "welcome" };
    const requests = [
      () => validation.checked(UpdateTemplateRequestSchema, create(UpdateTemplateRequestSchema, { template })),
      () => validation.checked(CreateTemplateRequestSchema, create(CreateTemplateRequestSchema, { template })),
    ];
    assert.deepEqual(requests.map(refusedFields), [["template.body"], ["template.body"]]);
  });
});
