/** The comments of a contract, where its image holds them. */
import type { DescEnum, DescEnumValue, DescField, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";

/** Whatever carries a comment. */
export type Commented = DescMessage | DescField | DescEnum | DescEnumValue | DescService | DescMethod;

/** The comment above a thing, or else behind it, as text with its paragraphs; empty when there is none. */
export function commentOf(desc: Commented): string {
  const { file, path } = placeOf(desc);
  return commentsOf(file).get(path.join()) ?? "";
}

const known = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/** By the path of source code info, joined by commas. */
function commentsOf(file: DescFile): ReadonlyMap<string, string> {
  let comments = known.get(file);
  if (comments === undefined) {
    const locations = file.proto.sourceCodeInfo?.location ?? [];
    comments = new Map(
      locations.map(({ path, leadingComments, trailingComments }) => [path.join(), textOf(leadingComments || trailingComments)]),
    );
    known.set(file, comments);
  }
  return comments;
}

/** Without the blank that follows the slashes, and without what is for tools. */
function textOf(comment: string): string {
  return comment
    .split("\n")
    .map((line) => (line.startsWith(" ") ? line.slice(1) : line))
    .filter((line) => !/^(buf:lint:|\(--|@ignore)/.test(line))
    .join("\n")
    .trim();
}

/** Field numbers of FileDescriptorProto, DescriptorProto, EnumDescriptorProto and ServiceDescriptorProto. */
const inFile = { message: 4, enum: 5, service: 6, extension: 7 };
const inMessage = { field: 2, message: 3, enum: 4 };
const member = 2;

function placeOf(desc: Commented): { file: DescFile; path: readonly number[] } {
  switch (desc.kind) {
    case "message":
    case "enum": {
      const { parent, file } = desc;
      const path = parent === undefined ? [] : placeOf(parent).path;
      const number = (parent === undefined ? inFile : inMessage)[desc.kind];
      return { file, path: [...path, number, indexOf(desc)] };
    }
    case "service":
      return { file: desc.file, path: [inFile.service, desc.file.proto.service.indexOf(desc.proto)] };
    case "field": {
      const { file, path } = placeOf(desc.parent);
      return { file, path: [...path, inMessage.field, desc.parent.proto.field.indexOf(desc.proto)] };
    }
    case "enum_value": {
      const { file, path } = placeOf(desc.parent);
      return { file, path: [...path, member, desc.parent.proto.value.indexOf(desc.proto)] };
    }
    case "rpc": {
      const { file, path } = placeOf(desc.parent);
      return { file, path: [...path, member, desc.parent.proto.method.indexOf(desc.proto)] };
    }
  }
}

function indexOf(desc: DescMessage | DescEnum): number {
  const { parent, file } = desc;
  // Map entries are among the nested types of the file, and not of the descriptor.
  if (desc.kind === "enum") return (parent === undefined ? file.proto.enumType : parent.proto.enumType).indexOf(desc.proto);
  return (parent === undefined ? file.proto.messageType : parent.proto.nestedType).indexOf(desc.proto);
}
