import assert from "node:assert/strict";
import { create, type MessageInitShape, setExtension } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { http } from "#gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { contractsOf } from "./contracts.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { ownFiles } from "./sources/own-files.ts";

/** `odd.v1.Odd` with a method for each rule, from and to `Thing`. */
function oddContracts(rules: Readonly<Record<string, MessageInitShape<typeof HttpRuleSchema>>>) {
  const field = (name: string, number: number, type: string, more: object = {}) => ({
    ...{ name, jsonName: name, number, label: 1, type: type === "" ? 9 : 11 },
    ...(type === "" ? {} : { typeName: `.google.${type}` }),
    ...more,
  });
  const file = create(FileDescriptorProtoSchema, {
    ...{ name: "odd/v1/odd.proto", package: "odd.v1", syntax: "proto3" },
    dependency: ["google/api/annotations.proto", "google/api/httpbody.proto", "google/protobuf/field_mask.proto"].concat([
      ...["google/protobuf/struct.proto", "google/protobuf/wrappers.proto", "google/protobuf/any.proto"],
    ]),
    messageType: [
      {
        name: "Thing",
        field: [
          field("name", 1, ""),
          field("mask", 2, "protobuf.FieldMask", { oneofIndex: 0 }),
          field("all", 3, "", { oneofIndex: 0 }),
          field("free", 4, "protobuf.Struct"),
          field("any", 5, "protobuf.Any"),
          field("text", 6, "protobuf.StringValue"),
          field("file", 7, "api.HttpBody"),
          field("files", 8, "api.HttpBody", { label: 3 }),
          { name: "part", jsonName: "part", number: 9, label: 1, type: 11, typeName: ".odd.v1.Thing" },
        ],
        oneofDecl: [{ name: "choice" }],
      },
    ],
    service: [
      {
        name: "Odd",
        method: Object.entries(rules).map(([name, rule]) => {
          const options = create(MethodOptionsSchema);
          setExtension(options, http, create(HttpRuleSchema, rule));
          return { name, inputType: ".odd.v1.Thing", outputType: ".odd.v1.Thing", options };
        }),
      },
    ],
  } as MessageInitShape<typeof FileDescriptorProtoSchema>);
  const files = [...ownFiles.values(), file];
  return contractsOf({ origin: "test", files, services: undefined });
}

const patch = (name: string) => ({ pattern: { case: "patch", value: `/${name}` }, body: name }) as const;

describe("gateway: what the fuzzer found", () => {
  const contracts = oddContracts({
    Free: patch("free"),
    Any: patch("any"),
    Text: patch("text"),
    File: patch("file"),
    Part: patch("part"),
    Files: { pattern: { case: "post", value: "/files" }, body: "files" },
    Under: { pattern: { case: "get", value: "/odd.v1.Odd/*" } },
  });
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({
      contracts,
      transport: () => ({
        async unary(method, _signal, _timeout, _header, input) {
          const message = {
            stream: false,
            service: method.parent,
            method,
            header: new Headers(),
            trailer: new Headers(),
          } as const;
          return { ...message, message: input as never };
        },
        stream: () => Promise.reject(new Error("there are no streams here")),
      }),
    });
  });
  after(() => gateway[Symbol.asyncDispose]());

  const bodies: [method: string, body: string, answer: object][] = [
    ["PATCH /free", '{"a":1}', { free: { a: 1 } }],
    [
      "PATCH /any",
      '{"@type":"x/google.protobuf.StringValue","value":"a"}',
      { any: { "@type": "x/google.protobuf.StringValue", value: "a" } },
    ],
    ["PATCH /text", '"a"', { text: "a" }],
    ["PATCH /text", "", {}],
    ["PATCH /part", '{"name":"a"}', { part: { name: "a" }, mask: "name" }],
    ["PATCH /part?all=x", '{"name":"a"}', { part: { name: "a" }, all: "x" }],
    ["POST /files", '[{"contentType":"a/b","data":"AAE="}]', { files: [{ contentType: "a/b", data: "AAE=" }] }],
  ];
  for (const [target, body, answer] of bodies) {
    it(`${target} takes ${body === "" ? "nothing" : body}, and loses none of it`, async () => {
      const reply = await gateway.send(target, { body });
      assert.deepEqual([reply.status, reply.json], [200, answer]);
    });
  }

  it("PATCH /file takes bytes of any type without a mask", async () => {
    const reply = await gateway.send("PATCH /file", { body: "bytes", headers: { "content-type": "image/x" } });
    assert.deepEqual([reply.status, reply.json], [200, { file: { contentType: "image/x", data: "Ynl0ZXM=" } }]);
  });

  it("refuses something else than JSON for a list of google.api.HttpBody", async () => {
    assert.equal((await gateway.send("POST /files", { body: "bytes", headers: { "content-type": "image/x" } })).status, 415);
  });

  for (const method of ["PUT", "OPTIONS"]) {
    it(`${method} /odd.v1.Odd/Free: Allow has what REST serves there, too`, async () => {
      const reply = await gateway.send(`${method} /odd.v1.Odd/Free`);
      assert.deepEqual([reply.status, reply.headers.allow], [method === "PUT" ? 405 : 204, "GET, HEAD, OPTIONS, POST"]);
    });
  }
});
