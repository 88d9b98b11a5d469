/** Finds the .proto files of a server's contracts by what they define. */
import { type AnyDesc, type DescFile, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** Answers with serialized FileDescriptorProtos: the file asked for, then all that it imports, directly or not. */
export class DescriptorIndex {
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  readonly #messages = new Set<string>();
  /** Extended message -> field number -> file. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();
  readonly #bytes = new Map<DescFile, Uint8Array>();

  /** Indexes `files` and everything that those import. */
  constructor(files: readonly DescFile[]) {
    for (const file of files) this.#addFile(file);
  }

  /** By path, such as `auth/v1/auth.proto`. */
  fileByName(path: string): readonly Uint8Array[] | undefined {
    return this.#withImports(this.#files.get(path));
  }

  /** By the full name of a service, method, message, enum, field, oneof, enum value or extension. */
  fileBySymbol(name: string): readonly Uint8Array[] | undefined {
    return this.#withImports(this.#symbols.get(name));
  }

  /** By the message that is extended and the number of the extension. */
  fileByExtension(extendee: string, number: number): readonly Uint8Array[] | undefined {
    return this.#withImports(this.#extensions.get(extendee)?.get(number));
  }

  /** The numbers of all extensions of a message, rising; undefined when there is no such message. */
  extensionNumbers(extendee: string): readonly number[] | undefined {
    if (!this.#messages.has(extendee)) return undefined;
    return [...(this.#extensions.get(extendee)?.keys() ?? [])].sort((a, b) => a - b);
  }

  #addFile(file: DescFile): void {
    const path = file.proto.name;
    if (this.#files.has(path)) return;
    this.#files.set(path, file);
    for (const desc of nestedTypes(file)) this.#addSymbols(file, desc);
    for (const imported of file.dependencies) this.#addFile(imported);
  }

  #addSymbols(file: DescFile, desc: AnyDesc): void {
    switch (desc.kind) {
      case "message":
        this.#messages.add(desc.typeName);
        this.#symbols.set(desc.typeName, file);
        for (const member of [...desc.fields, ...desc.oneofs]) this.#symbols.set(`${desc.typeName}.${member.name}`, file);
        break;
      case "enum": {
        this.#symbols.set(desc.typeName, file);
        // Enum values live beside their enum, not in it: pkg.VALUE, as in C++.
        const scope = desc.typeName.replace(/[^.]*$/, "");
        for (const { name } of desc.values) {
          this.#symbols.set(`${scope}${name}`, file);
          this.#symbols.set(`${desc.typeName}.${name}`, file);
        }
        break;
      }
      case "service":
        this.#symbols.set(desc.typeName, file);
        for (const { name } of desc.methods) this.#symbols.set(`${desc.typeName}.${name}`, file);
        break;
      case "extension": {
        this.#symbols.set(desc.typeName, file);
        const extendee = desc.extendee.typeName;
        const numbers = this.#extensions.get(extendee) ?? new Map<number, DescFile>();
        this.#extensions.set(extendee, numbers.set(desc.number, file));
        break;
      }
    }
  }

  #withImports(file: DescFile | undefined): readonly Uint8Array[] | undefined {
    if (file === undefined) return undefined;
    const found = new Set<DescFile>();
    const add = (one: DescFile): void => {
      if (found.has(one)) return;
      found.add(one);
      for (const imported of one.dependencies) add(imported);
    };
    add(file);
    return [...found].map((one) => this.#serialize(one));
  }

  #serialize(file: DescFile): Uint8Array {
    const bytes = this.#bytes.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    this.#bytes.set(file, bytes);
    return bytes;
  }
}
