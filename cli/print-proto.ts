import type { DescEnum, DescExtension, DescField, DescFile, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label as Label } from "@bufbuild/protobuf/wkt";

/**
 * Prints a proto2 file descriptor as .proto source that compiles to the same messages, enums and extensions.
 *
 * Comments and custom options are left out: the descriptors that npm packages embed carry no comments, and protovalidate
 * reads its predefined rules from its own copy. Written for buf/validate/validate.proto; groups and proto3 are refused.
 *
 * @throws Error when the file is not proto2.
 */
export function printProto(file: DescFile): string {
  if (file.proto.syntax !== "" && file.proto.syntax !== "proto2")
    throw new Error(`${file.name}: expected proto2, got ${file.proto.syntax}`);
  return [
    'syntax = "proto2";',
    `package ${file.proto.package};`,
    ...file.proto.dependency.map((name) => `import "${name}";`),
    ...file.extensions.map(printExtension),
    ...file.messages.map((message) => printMessage(message)),
    ...file.enums.map(printEnum),
    "",
  ].join("\n");
}

function printMessage(message: DescMessage): string {
  const loose = message.fields.filter((field) => field.oneof === undefined);
  const ranges = message.proto.extensionRange.map(
    (range) => `extensions ${range.start} to ${range.end > 536870911 ? "max" : range.end - 1};`,
  );
  const reserved = message.proto.reservedRange.map((range) => `reserved ${range.start} to ${range.end - 1};`);
  const names = message.proto.reservedName.map((name) => `reserved "${name}";`);
  return [
    `message ${message.name} {`,
    ...loose.map((field) => printField(field)),
    ...message.oneofs.map(printOneof),
    ...message.nestedMessages.map((nested) => printMessage(nested)),
    ...message.nestedEnums.map(printEnum),
    ...ranges,
    ...reserved,
    ...names,
    "}",
  ].join("\n");
}

function printOneof(oneof: DescOneof): string {
  return [`oneof ${oneof.name} {`, ...oneof.fields.map((field) => `${typeOf(field)} ${field.name} = ${field.number};`), "}"].join(
    "\n",
  );
}

function printField(field: DescField): string {
  if (field.fieldKind === "map") return `${typeOf(field)} ${field.name} = ${field.number};`;
  return `${labelOf(field)} ${typeOf(field)} ${field.name} = ${field.number};`;
}

function printExtension(extension: DescExtension): string {
  return `extend ${extension.extendee.typeName} { ${labelOf(extension)} ${typeOf(extension)} ${extension.name} = ${extension.number}; }`;
}

function printEnum(value: DescEnum): string {
  const alias = value.proto.options?.allowAlias ? ["option allow_alias = true;"] : [];
  return [`enum ${value.name} {`, ...alias, ...value.values.map((v) => `${v.name} = ${v.number};`), "}"].join("\n");
}

function labelOf(field: DescField | DescExtension): string {
  if (field.proto.label === Label.REPEATED) return "repeated";
  return field.proto.label === Label.REQUIRED ? "required" : "optional";
}

function typeOf(field: DescField | DescExtension): string {
  if (field.fieldKind === "map")
    return `map<${nameOf(field.mapKey)}, ${field.message?.typeName ?? field.enum?.typeName ?? nameOf(field.scalar)}>`;
  return field.message?.typeName ?? field.enum?.typeName ?? nameOf(field.scalar);
}

function nameOf(scalar: ScalarType | undefined): string {
  if (scalar === undefined) throw new Error("a field with neither scalar, enum nor message");
  return ScalarType[scalar].toLowerCase();
}
