/** Contracts of several origins as one: what may stand together, and what contradicts itself. */
import { clone, toBinary } from "@bufbuild/protobuf";
import { type DescriptorProto, type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ContractError } from "../contracts.ts";
import { ownFiles } from "./own-files.ts";
import { defaultJsonName } from "./repair.ts";
import type { ContractFiles } from "./source.ts";
import { serviceNames, symbolsOf } from "./symbols.ts";

/**
 * Joins contracts. A file that two origins have is taken once when both mean the same (comments do not matter). Two different
 * files of one name are kept under two names, unless they define the same symbol.
 *
 * @throws ContractError naming both origins of every symbol that is defined twice.
 */
export function unionOf(parts: readonly ContractFiles[], origin: string): ContractFiles {
  const union = new Union();
  for (const part of parts) union.add(part);
  return { origin, files: union.finish(), services: servicesOf(parts) };
}

/** The services that the parts name, or hold where they name none. */
function servicesOf(parts: readonly ContractFiles[]): ReadonlySet<string> {
  return new Set(parts.flatMap(({ services, files }) => [...(services ?? files.flatMap(serviceNames))]));
}

class Union {
  readonly #files = new Map<string, { readonly file: FileDescriptorProto; readonly origin: string }>();
  /** Who defines what: symbol -> file and origin. */
  readonly #symbols = new Map<string, { readonly name: string; readonly origin: string }>();
  readonly #mistakes: string[] = [];

  add({ files, origin }: ContractFiles): void {
    const renamed = new Map<string, string>();
    for (const file of importsFirst(files)) this.#addFile(file, origin, renamed);
  }

  finish(): FileDescriptorProto[] {
    if (this.#mistakes.length > 0) throw new ContractError(this.#mistakes);
    for (const name of [...this.#files.values()].flatMap(({ file }) => file.dependency)) this.#addOwn(name);
    return importsFirst([...this.#files.values()].map(({ file }) => file));
  }

  #addFile(file: FileDescriptorProto, origin: string, renamed: Map<string, string>): void {
    const own = ownFiles.get(file.name);
    if (own !== undefined) {
      this.#addOwn(file.name);
      return;
    }
    const moved = file.dependency.some((name) => renamed.has(name));
    const ready = moved ? clone(FileDescriptorProtoSchema, file) : file;
    if (moved) ready.dependency = file.dependency.map((name) => renamed.get(name) ?? name);
    const present = this.#files.get(ready.name);
    if (present !== undefined && same(present.file, ready)) return;
    const clash = this.#clash(ready, origin);
    if (clash !== undefined) {
      this.#mistakes.push(clash);
      return;
    }
    const placed = present === undefined ? ready : clone(FileDescriptorProtoSchema, ready);
    if (present !== undefined) {
      placed.name = `${origin}!${ready.name}`;
      renamed.set(ready.name, placed.name);
    }
    this.#files.set(placed.name, { file: placed, origin });
    for (const symbol of symbolsOf(placed)) this.#symbols.set(symbol, { name: ready.name, origin });
  }

  #addOwn(name: string): void {
    const file = ownFiles.get(name);
    if (file === undefined || this.#files.has(name)) return;
    this.#files.set(name, { file, origin: "the gateway" });
    for (const imported of file.dependency) this.#addOwn(imported);
  }

  #clash(file: FileDescriptorProto, origin: string): string | undefined {
    for (const symbol of symbolsOf(file)) {
      const other = this.#symbols.get(symbol);
      if (other === undefined) continue;
      const where = `in ${JSON.stringify(other.name)} of ${other.origin} and, otherwise, in ${JSON.stringify(file.name)} of ${origin}`;
      return `${symbol} is defined ${where}: one gateway serves one definition`;
    }
    return undefined;
  }
}

/** Whether two files mean the same: comments, and names of JSON that are written out though they are the default, do not count. */
function same(a: FileDescriptorProto, b: FileDescriptorProto): boolean {
  return a === b || Buffer.compare(bare(a), bare(b)) === 0;
}

function bare(file: FileDescriptorProto): Uint8Array {
  const copy = clone(FileDescriptorProtoSchema, file);
  copy.sourceCodeInfo = undefined;
  const strip = (message: DescriptorProto): void => {
    for (const field of message.field) if (field.jsonName === defaultJsonName(field.name)) field.jsonName = "";
    for (const nested of message.nestedType) strip(nested);
  };
  for (const message of copy.messageType) strip(message);
  return toBinary(FileDescriptorProtoSchema, copy);
}

function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const order = new Set<FileDescriptorProto>();
  const seen = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const name of file.dependency) {
      const imported = byName.get(name);
      if (imported !== undefined) visit(imported);
    }
    order.add(file);
  };
  for (const file of files) visit(file);
  return [...order];
}
