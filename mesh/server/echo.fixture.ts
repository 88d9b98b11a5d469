/** A contract for tests, made without a .proto file: each kind of stream, each level of access, one validation rule. */
import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMethod,
  type DescService,
  type Message,
  setExtension,
} from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptions_IdempotencyLevel,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { FieldRulesSchema, field, file_buf_validate_validate } from "#gen/buf/validate/validate_pb.ts";
import { AccessLevel, type AccessRule, AccessRuleSchema, access, file_heddle_v1_access } from "#gen/heddle/v1/access_pb.ts";

type Rule = Partial<Pick<AccessRule, "level" | "role" | "scope" | "sessionOnly">>;

const publicRule: Rule = { level: AccessLevel.PUBLIC };

/** What comes in; each item has at most 5 characters. */
export type EchoRequest = Message<"test.v1.EchoRequest"> & { text: string; items: string[] };
/** What goes out. */
export type EchoResponse = Message<"test.v1.EchoResponse"> & { text: string };

type Method<K extends DescMethod["methodKind"]> = {
  methodKind: K;
  input: GenMessage<EchoRequest>;
  output: GenMessage<EchoResponse>;
};

/** `test.v1.EchoService`. */
export const EchoService = buildEcho() as GenService<{
  unary: Method<"unary">;
  server: Method<"server_streaming">;
  client: Method<"client_streaming">;
  bidi: Method<"bidi_streaming">;
  signedIn: Method<"unary">;
  admin: Method<"unary">;
  internal: Method<"unary">;
  ruleless: Method<"unary">;
}>;

function buildEcho(): DescService {
  const path = "test/v1/echo.proto";
  const file = create(FileDescriptorProtoSchema, {
    name: path,
    package: "test.v1",
    syntax: "proto3",
    dependency: ["heddle/v1/access.proto", "buf/validate/validate.proto"],
    messageType: [
      { name: "EchoRequest", field: [textField("text", 1), itemsField()] },
      { name: "EchoResponse", field: [textField("text", 1)] },
    ],
    service: [
      {
        name: "EchoService",
        method: [
          method("Unary", publicRule),
          method("Server", publicRule, false, true),
          method("Client", publicRule, true, false),
          method("Bidi", publicRule, true, true),
          method("SignedIn", { level: AccessLevel.AUTHENTICATED, scope: "echo:read" }),
          method("Admin", { level: AccessLevel.ROLE, role: "admin" }),
          method("Internal", { level: AccessLevel.SERVICE }),
          method("Ruleless", undefined),
        ],
      },
    ],
  });
  const set = create(FileDescriptorSetSchema, { file: [...imports(file_heddle_v1_access, file_buf_validate_validate), file] });
  const service = createFileRegistry(set).getService("test.v1.EchoService");
  if (service === undefined) throw new Error("test.v1.EchoService was not built");
  return service;
}

function textField(name: string, number: number) {
  return { name, jsonName: name, number, type: FieldDescriptorProto_Type.STRING, label: FieldDescriptorProto_Label.OPTIONAL };
}

/** `repeated string items = 2 [(buf.validate.field).repeated.items.string.max_len = 5]`. */
function itemsField() {
  const rules = create(FieldRulesSchema, {
    type: { case: "repeated", value: { items: { type: { case: "string", value: { maxLen: 5n } } } } },
  });
  const options = create(FieldOptionsSchema);
  setExtension(options, field, rules);
  return { ...textField("items", 2), label: FieldDescriptorProto_Label.REPEATED, options };
}

function method(name: string, rule: Rule | undefined, clientStreaming = false, serverStreaming = false) {
  const options = create(MethodOptionsSchema, { idempotencyLevel: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
  if (rule !== undefined) setExtension(options, access, create(AccessRuleSchema, rule));
  const inputType = ".test.v1.EchoRequest";
  return { name, inputType, outputType: ".test.v1.EchoResponse", clientStreaming, serverStreaming, options };
}

function imports(...files: readonly DescFile[]) {
  const found = new Map<string, DescFile["proto"]>();
  const add = (one: DescFile): void => {
    for (const imported of one.dependencies) add(imported);
    found.set(one.proto.name, one.proto);
  };
  for (const one of files) add(one);
  return [...found.values()];
}
