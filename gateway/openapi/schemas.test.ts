import assert from "node:assert/strict";
import { create, createFileRegistry, type MessageInitShape, setExtension } from "@bufbuild/protobuf";
import {
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MessageOptionsSchema,
  OneofOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import {
  FieldRulesSchema as FieldRules,
  type FieldRulesSchema,
  field as fieldRules,
  Ignore,
  MessageRulesSchema,
  message as messageRules,
  OneofRulesSchema,
  oneof as oneofRules,
} from "#gen/buf/validate/validate_pb.ts";
import { ownFiles } from "../sources/own-files.ts";
import { mustBeGiven } from "./rules.ts";
import type { Schema } from "./schema.ts";
import { Schemas } from "./schemas.ts";

type Rules = MessageInitShape<typeof FieldRulesSchema>;

/** A field's type (9: string), its label (3: repeated), and its rules. */
interface MadeField {
  readonly type: number;
  readonly typeName?: string;
  readonly repeated?: boolean;
  readonly optional?: boolean;
  readonly inOneof?: boolean;
  readonly deprecated?: boolean;
  readonly rules?: Rules;
}

/** A message `t.M` of such fields, with an enum t.E of NONE, ONE, TWO, and with comments on the message and its first field. */
function messageOf(fields: Readonly<Record<string, MadeField>>, oneofRequired?: boolean) {
  const oneofOptions = create(OneofOptionsSchema);
  if (oneofRequired !== undefined) setExtension(oneofOptions, oneofRules, create(OneofRulesSchema, { required: oneofRequired }));
  const options = create(MessageOptionsSchema);
  setExtension(options, messageRules, create(MessageRulesSchema, { cel: [{ id: "x", message: "a must go before b" }] }));
  const inOneof = Object.values(fields).some((one) => one.inOneof);
  const optional = Object.values(fields).some((one) => one.optional);
  const file = create(FileDescriptorProtoSchema, {
    name: "t.proto",
    package: "t",
    syntax: "proto3",
    dependency: ["buf/validate/validate.proto", "google/protobuf/timestamp.proto", "google/protobuf/duration.proto"],
    messageType: [
      {
        name: "M",
        options,
        field: Object.entries(fields).map(([name, made], index) => {
          const fieldOptions = create(FieldOptionsSchema, { deprecated: made.deprecated === true });
          if (made.rules !== undefined) setExtension(fieldOptions, fieldRules, create(FieldRules, made.rules));
          return {
            name,
            jsonName: name,
            number: index + 1,
            type: made.type,
            label: made.repeated ? 3 : 1,
            ...(made.typeName === undefined ? {} : { typeName: made.typeName }),
            ...(made.inOneof || made.optional ? { oneofIndex: 0 } : {}),
            ...(made.optional ? { proto3Optional: true } : {}),
            options: fieldOptions,
          };
        }),
        oneofDecl: inOneof ? [{ name: "choice", options: oneofOptions }] : optional ? [{ name: "_optional" }] : [],
      },
    ],
    enumType: [{ name: "E", value: ["NONE", "ONE", "TWO"].map((name, number) => ({ name, number })) }],
    sourceCodeInfo: {
      location: [
        { path: [4, 0], span: [0, 0, 0], leadingComments: " What M is.\n buf:lint:ignore X\n" },
        { path: [4, 0, 2, 0], span: [0, 0, 0], trailingComments: " What it is.\n" },
        { path: [5, 0, 2, 1], span: [0, 0, 0], leadingComments: " The first.\n" },
      ],
    },
  } as MessageInitShape<typeof FileDescriptorProtoSchema>);
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...ownFiles.values(), file] }));
  const message = registry.getMessage("t.M");
  assert.ok(message !== undefined);
  return message;
}

function schemaOf(field: MadeField): Schema {
  const message = messageOf({ f: { type: 8 }, g: field });
  const found = message.fields[1];
  assert.ok(found !== undefined);
  return new Schemas().field(found);
}

const string = { type: 9 };
const int32: Schema = { type: "integer", format: "int32", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
const text = (value: object): Rules => ({ type: { case: "string", value } }) as Rules;

const cases: [title: string, field: MadeField, schema: Schema][] = [
  ["string", string, { type: "string" }],
  [
    "min_len 2, max_len 5",
    { ...string, rules: text({ minLen: 2n, maxLen: 5n }) },
    { type: "string", minLength: 2, maxLength: 5 },
  ],
  ["len 3", { ...string, rules: text({ len: 3n }) }, { type: "string", minLength: 3, maxLength: 3 }],
  ["pattern", { ...string, rules: text({ pattern: "^a+$" }) }, { type: "string", pattern: "^a+$" }],
  ["a pattern that is none in JavaScript", { ...string, rules: text({ pattern: "(?P<x>a)" }) }, { type: "string" }],
  [
    "prefix and suffix",
    { ...string, rules: text({ prefix: "a.", suffix: "z" }) },
    { type: "string", pattern: "^a\\.", allOf: [{ pattern: "z$" }] },
  ],
  ["email", { ...string, rules: text({ wellKnown: { case: "email", value: true } }) }, { type: "string", format: "email" }],
  ["uuid", { ...string, rules: text({ wellKnown: { case: "uuid", value: true } }) }, { type: "string", format: "uuid" }],
  ["uri", { ...string, rules: text({ wellKnown: { case: "uri", value: true } }) }, { type: "string", format: "uri" }],
  ["in", { ...string, rules: text({ in: ["a", "b"] }) }, { type: "string", enum: ["a", "b"] }],
  ["not_in", { ...string, rules: text({ notIn: ["a"] }) }, { type: "string", not: { enum: ["a"] } }],
  ["const empty", { ...string, rules: text({ const: "" }) }, { type: "string", const: "" }],
  ["required", { ...string, rules: { required: true } }, { type: "string", minLength: 1 }],
  ["ignore always", { ...string, rules: { ...text({ minLen: 2n }), ignore: Ignore.ALWAYS } }, { type: "string" }],
  [
    "cel",
    { ...string, rules: { cel: [{ id: "x", message: "must be nice", expression: "true" }] } },
    { type: "string", description: "Rule: must be nice." },
  ],
  [
    "int32 gte 1 lte 9",
    {
      type: 5,
      rules: {
        type: { case: "int32", value: { greaterThan: { case: "gte", value: 1 }, lessThan: { case: "lte", value: 9 } } },
      } as Rules,
    },
    { ...int32, minimum: 1, maximum: 9 },
  ],
  [
    "int32 gt 0",
    { type: 5, rules: { type: { case: "int32", value: { greaterThan: { case: "gt", value: 0 } } } } as Rules },
    { ...int32, exclusiveMinimum: 0 },
  ],
  [
    "int32 outside of 1 to 9",
    {
      type: 5,
      rules: {
        type: { case: "int32", value: { greaterThan: { case: "gt", value: 9 }, lessThan: { case: "lt", value: 1 } } },
      } as Rules,
    },
    { ...int32, anyOf: [{ exclusiveMaximum: 1 }, { exclusiveMinimum: 9 }] },
  ],
  [
    "int64 gte 1",
    { type: 3, rules: { type: { case: "int64", value: { greaterThan: { case: "gte", value: 1n } } } } as Rules },
    { type: "string", format: "int64", pattern: "^-?[0-9]+$", description: "Must be at least 1." },
  ],
  ["double", { type: 1 }, { anyOf: [{ type: "number", format: "double" }, { enum: ["NaN", "Infinity", "-Infinity"] }] }],
  [
    "double lt 1",
    { type: 1, rules: { type: { case: "double", value: { lessThan: { case: "lt", value: 1 } } } } as Rules },
    { type: "number", format: "double", exclusiveMaximum: 1 },
  ],
  ["bytes", { type: 12 }, { type: "string", format: "byte", contentEncoding: "base64" }],
  [
    "bool const true",
    { type: 8, rules: { type: { case: "bool", value: { const: true } } } as Rules },
    { type: "boolean", const: true },
  ],
  [
    "enum not_in 0",
    { type: 14, typeName: ".t.E", rules: { type: { case: "enum", value: { notIn: [0] } } } as Rules },
    { $ref: "#/components/schemas/t.E", not: { enum: ["NONE"] } },
  ],
  [
    "repeated",
    {
      ...string,
      repeated: true,
      rules: {
        type: { case: "repeated", value: { minItems: 1n, maxItems: 3n, unique: true, items: text({ minLen: 1n }) } },
      } as Rules,
    },
    { type: "array", items: { type: "string", minLength: 1 }, minItems: 1, maxItems: 3, uniqueItems: true },
  ],
  [
    "timestamp gt_now",
    {
      type: 11,
      typeName: ".google.protobuf.Timestamp",
      rules: { type: { case: "timestamp", value: { greaterThan: { case: "gtNow", value: true } } } } as Rules,
    },
    { type: "string", format: "date-time", examples: ["2030-01-31T12:00:00Z"], description: "Must be in the future." },
  ],
  [
    "duration lte 90 s",
    {
      type: 11,
      typeName: ".google.protobuf.Duration",
      rules: { type: { case: "duration", value: { lessThan: { case: "lte", value: { seconds: 90n } } } } } as Rules,
    },
    {
      type: "string",
      pattern: "^-?[0-9]+(\\.[0-9]{1,9})?s$",
      examples: ["1.5s"],
      description: "Must be at most 90s.",
    },
  ],
  ["deprecated", { ...string, deprecated: true }, { type: "string", deprecated: true }],
];

describe("gateway/openapi/schemas", () => {
  for (const [title, field, schema] of cases) {
    it(`${title} is ${JSON.stringify(schema).slice(0, 90)}`, () => assert.deepEqual(schemaOf(field), schema));
  }

  const given: [title: string, field: MadeField, expected: boolean][] = [
    ["a string without rules", string, false],
    ["a required string", { ...string, rules: { required: true } }, true],
    ["a string of min_len 1", { ...string, rules: text({ minLen: 1n }) }, true],
    ["a string of min_len 1 that may be absent", { ...string, optional: true, rules: text({ minLen: 1n }) }, false],
    [
      "a string of min_len 1 that may be empty",
      { ...string, rules: { ...text({ minLen: 1n }), ignore: Ignore.IF_ZERO_VALUE } },
      false,
    ],
    ["a string that is a uuid", { ...string, rules: text({ wellKnown: { case: "uuid", value: true } }) }, true],
    ["a string of max_len 5", { ...string, rules: text({ maxLen: 5n }) }, false],
    ["a string in a, b", { ...string, rules: text({ in: ["a", "b"] }) }, true],
    [
      "an int32 of gte 0",
      { type: 5, rules: { type: { case: "int32", value: { greaterThan: { case: "gte", value: 0 } } } } as Rules },
      false,
    ],
    [
      "an int32 of gte 1",
      { type: 5, rules: { type: { case: "int32", value: { greaterThan: { case: "gte", value: 1 } } } } as Rules },
      true,
    ],
    [
      "an enum of not_in 0",
      { type: 14, typeName: ".t.E", rules: { type: { case: "enum", value: { notIn: [0] } } } as Rules },
      true,
    ],
    [
      "a list of min_items 1",
      { ...string, repeated: true, rules: { type: { case: "repeated", value: { minItems: 1n } } } as Rules },
      true,
    ],
  ];
  for (const [title, field, expected] of given) {
    it(`${title} ${expected ? "must" : "need not"} be given`, () => {
      const found = messageOf({ g: field }).fields[0];
      assert.ok(found !== undefined);
      assert.equal(mustBeGiven(found), expected);
    });
  }

  it("describes a message by its comments and rules, and an enum by its values", () => {
    const schemas = new Schemas();
    const ref = schemas.message(messageOf({ a: string, e: { type: 14, typeName: ".t.E" } }));
    assert.deepEqual(ref, { $ref: "#/components/schemas/t.M" });
    assert.deepEqual(schemas.components, {
      "t.E": { type: "string", enum: ["NONE", "ONE", "TWO"], description: "- `ONE`: The first." },
      "t.M": {
        type: "object",
        properties: { a: { type: "string", description: "What it is." }, e: { $ref: "#/components/schemas/t.E" } },
        description: "What M is.\n\nRule: a must go before b.",
      },
    });
  });

  it("takes at most one member of a oneof, and exactly one of a required one", () => {
    const choice = { a: { ...string, inOneof: true }, b: { ...string, inOneof: true } };
    const members = [{ required: ["a"] }, { required: ["b"] }];
    const allOf = (required: boolean) => {
      const schemas = new Schemas();
      schemas.message(messageOf(choice, required));
      return (schemas.components["t.M"] as Schema).allOf;
    };
    assert.deepEqual(allOf(false), [{ oneOf: [...members, { not: { anyOf: members } }] }]);
    assert.deepEqual(allOf(true), [{ oneOf: members }]);
  });

  it("refers a message that holds itself to itself", () => {
    const schemas = new Schemas();
    schemas.message(messageOf({ m: { type: 11, typeName: ".t.M" } }));
    assert.deepEqual((schemas.components["t.M"] as { properties: Schema }).properties.m, {
      $ref: "#/components/schemas/t.M",
      description: "What it is.",
    });
  });

  it("leaves out what the path sets, however deep it is", () => {
    const message = messageOf({ a: string, m: { type: 11, typeName: ".t.M" } });
    const [a, m] = message.fields;
    assert.ok(a !== undefined && m !== undefined);
    const schema = new Schemas().messageWithout(message, [[a], [m, m, a]]) as { properties: { m: { properties: Schema } } };
    assert.deepEqual(Object.keys(schema.properties), ["m"]);
    assert.deepEqual(Object.keys(schema.properties.m.properties), ["a", "m"]);
    assert.deepEqual(Object.keys((schema.properties.m.properties.m as { properties: Schema }).properties), ["m"]);
  });
});
