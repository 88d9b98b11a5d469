/** Random contracts: messages with every kind of field, and rules over them as google/api/http.proto allows. */
import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  type FileRegistry,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  type MethodDescriptorProtoSchema,
  MethodOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { http } from "#gen/google/api/annotations_pb.ts";
import { type HttpRule, HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { ownFiles } from "../sources/own-files.ts";
import type { Random } from "./random.ts";
import { isText, type MadeTemplate, randomTemplate, shapeOf } from "./template.ts";

/** A rule as the contract's text has it. */
export interface MadeRule {
  readonly httpMethod: string;
  readonly template: string;
  readonly body: string;
  readonly responseBody: string;
  /** The name of the method. */
  readonly method: string;
}

/** A contract and what is in it. */
export interface MadeContract {
  readonly files: readonly FileDescriptorProto[];
  readonly types: FileRegistry;
  /** Every rule, those of additional bindings too, and `POST /fuzz.v1.Fuzz/Method` of methods without one. */
  readonly rules: readonly MadeRule[];
  /** Input and output of each method, by its name: the same type. */
  readonly messages: ReadonlyMap<string, DescMessage>;
  /** Rules that must not be served, each with a reason. */
  readonly methods: readonly string[];
}

/** The full name of the service. */
export const serviceName = "fuzz.v1.Fuzz";

type FieldInit = ReturnType<typeof plainField> &
  Partial<Pick<FieldDescriptorProto, "type" | "typeName" | "oneofIndex" | "proto3Optional">>;

/** Makes a contract. `turn` makes it differ from all others of a run. */
export function randomContract(random: Random, turn: number): MadeContract {
  const names = random.times(2 + random.below(3), (index) => `Message${index}`);
  const messages = names.map((name) => randomMessageType(random, name, names));
  const plain = {
    name: "fuzz/v1/fuzz.proto",
    package: "fuzz.v1",
    syntax: "proto3",
    dependency: imports,
    messageType: messages,
    enumType: [{ name: "Kind", value: [value("KIND_NONE", 0), value("KIND_A", 1), value("KIND_B", 2), value("KIND_MINUS", -1)] }],
    options: { phpNamespace: `turn${turn}` },
  };
  const typesOnly = link([create(FileDescriptorProtoSchema, plain)]);
  const rules: MadeRule[] = [];
  const shapes = new Set<string>();
  const methods: MessageInitShape<typeof MethodDescriptorProtoSchema>[] = [];
  const inputs = new Map<string, string>();
  for (const name of random.times(3 + random.below(6), (index) => `Call${index}`)) {
    const input = `fuzz.v1.${random.pick(names)}`;
    const desc = typesOnly.getMessage(input);
    if (desc === undefined) throw new Error(`${input} was not linked`);
    inputs.set(name, input);
    const own = random.chance(0.1) ? [] : random.times(1 + random.below(4), () => randomRule(random, desc, name, shapes)).flat();
    rules.push(...(own.length > 0 ? own : [unannotated(name)]));
    const options = create(MethodOptionsSchema);
    const [first, ...rest] = own.map(httpRule);
    if (first !== undefined) setExtension(options, http, Object.assign(first, { additionalBindings: rest }));
    methods.push({ name, inputType: `.${input}`, outputType: `.${input}`, options });
  }
  const file = create(FileDescriptorProtoSchema, { ...plain, service: [{ name: "Fuzz", method: methods }] });
  const types = link([file]);
  const found = [...inputs].map(([name, input]) => [name, types.getMessage(input)] as const);
  const known = found.filter((entry): entry is readonly [string, DescMessage] => entry[1] !== undefined);
  return { files: [...ownFiles.values(), file], types, rules, messages: new Map(known), methods: [...inputs.keys()] };
}

/** The contract with one method more, of one rule, `POST` with what `make` gives for its input. */
export function withRule(random: Random, { files, types, messages }: MadeContract, make: (input: DescMessage) => string) {
  const input = random.pick([...messages.values()]);
  const template = make(input);
  const options = create(MethodOptionsSchema);
  setExtension(options, http, create(HttpRuleSchema, { pattern: { case: "post", value: template } }));
  const type = `.${input.typeName}`;
  const file = create(FileDescriptorProtoSchema, {
    ...{ name: "fuzz/v1/one.proto", package: "fuzz.v1", syntax: "proto3" },
    dependency: ["fuzz/v1/fuzz.proto", "google/api/annotations.proto"],
    service: [{ name: "One", method: [{ name: "Call", inputType: type, outputType: type, options }] }],
  });
  const plain = files.map((one) =>
    one.package === "fuzz.v1" ? create(FileDescriptorProtoSchema, { ...unwrapped(one), service: [] }) : one,
  );
  const linked = types.getMessage(input.typeName);
  if (linked === undefined) throw new Error(`${input.typeName} was not linked`);
  return { file: { template, files: [...plain, file] }, input: linked };
}

function unwrapped({ $typeName: _, ...fields }: FileDescriptorProto): Omit<FileDescriptorProto, "$typeName"> {
  return fields;
}

function link(files: readonly FileDescriptorProto[]): FileRegistry {
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...ownFiles.values(), ...files] }));
}

const imports = [
  "google/api/annotations.proto",
  "google/api/httpbody.proto",
  ...["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"].map((name) => `google/protobuf/${name}.proto`),
];

function value(name: string, number: number) {
  return { name, number };
}

function unannotated(method: string): MadeRule {
  return { httpMethod: "POST", template: `/${serviceName}/${method}`, body: "*", responseBody: "", method };
}

const scalars = [Type.DOUBLE, Type.FLOAT, Type.INT64, Type.UINT64, Type.INT32, Type.FIXED64, Type.FIXED32, Type.BOOL].concat([
  ...[Type.STRING, Type.STRING, Type.STRING, Type.BYTES, Type.UINT32, Type.SFIXED32, Type.SFIXED64, Type.SINT32, Type.SINT64],
]);
const keys = [Type.STRING, Type.STRING, Type.INT32, Type.INT64, Type.BOOL, Type.UINT64, Type.SFIXED32];
const known = [
  "Timestamp",
  "Duration",
  "FieldMask",
  "Struct",
  "Value",
  "ListValue",
  "Any",
  "Empty",
  "StringValue",
  "Int64Value",
].concat(["BoolValue", "BytesValue", "DoubleValue", "FloatValue", "UInt32Value", "Int32Value", "UInt64Value"]);

function randomMessageType(random: Random, name: string, names: readonly string[]) {
  const oneofs = random.below(3);
  const fields: FieldInit[] = [];
  const nested: object[] = [];
  const oneofDecl = random.times(oneofs, (index) => ({ name: `choice_${index}` }));
  const optional: { name: string }[] = [];
  // A text first, so that every message has a field that a path can hold.
  fields.push({ ...plainField("name", 1), type: Type.STRING });
  for (const index of random.times(2 + random.below(10), (at) => at)) {
    const field = plainField(`${random.pick(["some_field", "other", "camelCase", "x_1", "_lead", "UPPER"])}_${index}`, index + 2);
    const kind = random.below(10);
    const type = randomFieldType(random, names);
    if (random.chance(0.1)) field.jsonName = random.pick(["renamed-", "json name ", "ä", "a.b", "$"]) + index;
    if (kind < 2) fields.push({ ...field, ...type, label: Label.REPEATED });
    else if (kind === 2) {
      const entry = `${camel(`_${field.name}`)}Entry`;
      const pair = {
        name: entry,
        field: [
          { ...plainField("key", 1), type: random.pick(keys) },
          { ...plainField("value", 2), ...type },
        ],
      };
      nested.push({ ...pair, options: { mapEntry: true } });
      fields.push({ ...field, type: Type.MESSAGE, typeName: `.fuzz.v1.${name}.${entry}`, label: Label.REPEATED });
    } else if (kind < 5 && oneofs > 0) fields.push({ ...field, ...type, oneofIndex: random.below(oneofs) });
    else if (kind === 5 && type.type !== Type.MESSAGE) {
      fields.push({ ...field, ...type, proto3Optional: true, oneofIndex: oneofs + optional.length });
      optional.push({ name: `_${field.name}` });
    } else fields.push({ ...field, ...type });
  }
  const used = oneofDecl.map((_, index) =>
    fields.some(({ oneofIndex, proto3Optional }) => oneofIndex === index && !proto3Optional),
  );
  // A oneof needs a member.
  for (const [index, has] of used.entries()) {
    if (!has) fields.push({ ...plainField(`member_${index}`, 100 + index), type: Type.STRING, oneofIndex: index });
  }
  return { name, field: fields, nestedType: nested, oneofDecl: [...oneofDecl, ...optional] };
}

function plainField(name: string, number: number): { name: string; number: number; label: Label; jsonName: string } {
  return { name, number, label: Label.OPTIONAL, jsonName: camel(name) };
}

/** As protoc makes JSON names. */
function camel(name: string): string {
  return name.replace(/_+([^_])?/g, (_, letter: string | undefined) => (letter ?? "").toUpperCase());
}

function randomFieldType(random: Random, names: readonly string[]): { type: Type; typeName?: string } {
  const kind = random.below(12);
  if (kind < 6) return { type: random.pick(scalars) };
  if (kind === 6) return { type: Type.ENUM, typeName: ".fuzz.v1.Kind" };
  if (kind < 9) return { type: Type.MESSAGE, typeName: `.fuzz.v1.${random.pick(names)}` };
  if (random.chance(0.03)) return { type: Type.ENUM, typeName: ".google.protobuf.NullValue" };
  if (random.chance(0.05)) return { type: Type.MESSAGE, typeName: ".google.api.HttpBody" };
  return { type: Type.MESSAGE, typeName: `.google.protobuf.${random.pick(known)}` };
}

const httpMethods = ["GET", "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "SEARCH", "*"];

/** A rule, or none when chance made one that must not stand. */
function randomRule(random: Random, input: DescMessage, method: string, shapes: Set<string>): MadeRule[] {
  const httpMethod = random.pick(httpMethods);
  const template: MadeTemplate = randomTemplate(random, input);
  const shape = `${httpMethod} ${shapeOf(template)}`;
  if (shapes.has(shape)) return [];
  const bodiless = httpMethod === "GET" || httpMethod === "DELETE";
  const inPath = new Set(template.variables.filter((path) => !path.includes(".")));
  const fields = input.fields.filter(({ name }) => !inPath.has(name));
  const body = bodiless ? "" : random.chance(0.45) ? "*" : random.chance(0.75) ? (pickField(random, fields)?.name ?? "") : "";
  const responseBody = random.chance(0.2) ? (pickField(random, input.fields)?.name ?? "") : "";
  shapes.add(shape);
  return [{ httpMethod, template: template.text, body, responseBody, method }];
}

function pickField(random: Random, fields: readonly DescField[]): DescField | undefined {
  const messages = fields.filter((field) => field.fieldKind === "message" && !isText(field.message));
  if (messages.length > 0 && random.chance(0.6)) return random.pick(messages);
  return fields.length === 0 ? undefined : random.pick(fields);
}

function httpRule({ httpMethod, template, body, responseBody }: MadeRule): HttpRule {
  const lower = httpMethod.toLowerCase();
  const pattern =
    lower === "get" || lower === "put" || lower === "post" || lower === "delete" || lower === "patch"
      ? ({ case: lower, value: template } as const)
      : ({ case: "custom", value: { kind: httpMethod, path: template } } as const);
  return create(HttpRuleSchema, { pattern, body, responseBody });
}
