/** Mends what servers leave out of their descriptors, or say wrongly, in one file. */
import type { DescriptorProto, FileDescriptorProto } from "@bufbuild/protobuf/wkt";

/**
 * In place: writes out the JSON names that are the default, which the compilers of most languages strip from embedded
 * descriptors; and takes back `map_entry` from messages that are none, as @grpc/proto-loader sets it on the message around the
 * map as well.
 */
export function repair(file: FileDescriptorProto): void {
  for (const message of file.messageType) repairMessage(message);
}

/** The JSON name of a field that states none: lowerCamelCase. */
export function defaultJsonName(name: string): string {
  return name.replaceAll(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase()).replaceAll("_", "");
}

function repairMessage(message: DescriptorProto): void {
  for (const field of message.field) if (field.jsonName === "") field.jsonName = defaultJsonName(field.name);
  if (message.options?.mapEntry === true && !isMapEntry(message)) message.options.mapEntry = false;
  for (const nested of message.nestedType) repairMessage(nested);
}

function isMapEntry({ name, field, nestedType }: DescriptorProto): boolean {
  const [key, value, ...rest] = field;
  const fields = key?.name === "key" && key.number === 1 && value?.name === "value" && value.number === 2 && rest.length === 0;
  return fields && name.endsWith("Entry") && nestedType.length === 0;
}
