import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as AlphaServerReflection } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { startEcho } from "./server.fixture.ts";

type Ask = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

/** One answer for each request, all in one stream. */
async function ask(...requests: Ask[]): Promise<ServerReflectionResponse["messageResponse"][]> {
  await using echo = await startEcho({});
  const client = createClient(ServerReflection, echo.transport("grpc"));
  async function* inputs() {
    for (const messageRequest of requests) yield create(ServerReflectionRequestSchema, { messageRequest });
  }
  const answers = await Array.fromAsync(client.serverReflectionInfo(inputs()));
  return answers.map(({ messageResponse }) => messageResponse);
}

/** File names, or the error's code and text. */
function summary(response: ServerReflectionResponse["messageResponse"] | undefined): unknown {
  switch (response?.case) {
    case "fileDescriptorResponse":
      return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
    case "errorResponse":
      return [response.value.errorCode, response.value.errorMessage];
    case "allExtensionNumbersResponse":
      return response.value.extensionNumber;
    case "listServicesResponse":
      return response.value.service.map(({ name }) => name);
    default:
      return undefined;
  }
}

const echoFiles = [
  "test/v1/echo.proto",
  "heddle/v1/access.proto",
  "google/protobuf/descriptor.proto",
  "buf/validate/validate.proto",
  "google/protobuf/duration.proto",
  "google/protobuf/field_mask.proto",
  "google/protobuf/timestamp.proto",
];

const served = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "test.v1.EchoService",
];

describe("grpc.reflection", () => {
  it("lists what is served, itself and health included", async () => {
    const [services] = await ask({ case: "listServices", value: "" });
    assert.deepEqual(summary(services), served);
  });

  for (const symbol of [
    "test.v1.EchoService",
    ".test.v1.EchoService",
    "test.v1.EchoService.Unary",
    "test.v1.EchoRequest",
    "test.v1.EchoRequest.text",
  ]) {
    it(`fileContainingSymbol ${symbol} is its file and all imports`, async () => {
      const [files] = await ask({ case: "fileContainingSymbol", value: symbol });
      assert.deepEqual(summary(files), echoFiles);
    });
  }

  it("finds enums, their values in the enum's scope, and extensions", async () => {
    const names = ["heddle.v1.AccessLevel", "heddle.v1.ACCESS_LEVEL_PUBLIC", "heddle.v1.access"];
    const answers = await ask(...names.map((value) => ({ case: "fileContainingSymbol" as const, value })));
    const expected = ["heddle/v1/access.proto", "google/protobuf/descriptor.proto"];
    assert.deepEqual(answers.map(summary), [expected, expected, expected]);
  });

  it("finds files by name and by extension, and the extension numbers of a message", async () => {
    const options = "google.protobuf.MethodOptions";
    const answers = await ask(
      { case: "fileByFilename", value: "heddle/v1/access.proto" },
      { case: "fileContainingExtension", value: { containingType: options, extensionNumber: 50501 } },
      { case: "allExtensionNumbersOfType", value: options },
      { case: "allExtensionNumbersOfType", value: "test.v1.EchoRequest" },
    );
    const access = ["heddle/v1/access.proto", "google/protobuf/descriptor.proto"];
    assert.deepEqual(answers.map(summary), [access, access, [50501], []]);
  });

  it("an error is an answer, and the stream goes on after it", async () => {
    const answers = await ask(
      { case: "fileContainingSymbol", value: "no.such.Thing" },
      { case: "fileByFilename", value: "no/such.proto" },
      { case: "allExtensionNumbersOfType", value: "no.such.Thing" },
      { case: "fileContainingExtension", value: { containingType: "test.v1.EchoRequest", extensionNumber: 7 } },
      { case: undefined },
      { case: "listServices", value: "" },
    );
    assert.deepEqual(answers.map(summary), [
      [5, 'the symbol "no.such.Thing" is not known'],
      [5, 'the file "no/such.proto" is not known'],
      [5, 'the message type "no.such.Thing" is not known'],
      [5, 'the extension "test.v1.EchoRequest 7" is not known'],
      [3, "message_request: expected one of its fields, got none"],
      served,
    ]);
  });

  it("the options of a method arrive whole", async () => {
    const [files] = await ask({ case: "fileByFilename", value: "test/v1/echo.proto" });
    assert(files?.case === "fileDescriptorResponse");
    const file = fromBinary(FileDescriptorProtoSchema, files.value.fileDescriptorProto[0] ?? new Uint8Array());
    const options = file.service[0]?.method[5]?.options;
    assert.deepEqual(
      options?.$unknown?.map(({ no }) => no),
      [50501],
    );
  });

  it("v1alpha answers the same, with the request that it was asked", async () => {
    await using echo = await startEcho({});
    const client = createClient(AlphaServerReflection, echo.transport("grpc"));
    async function* inputs() {
      yield { host: "h", messageRequest: { case: "listServices" as const, value: "*" } };
    }
    const [answer] = await Array.fromAsync(client.serverReflectionInfo(inputs()));
    assert.deepEqual([answer?.validHost, answer?.originalRequest?.messageRequest.value], ["h", "*"]);
    assert(answer?.messageResponse.case === "listServicesResponse");
    assert.deepEqual(
      answer.messageResponse.value.service.map(({ name }) => name),
      served,
    );
  });
});
