/** The contracts that the gateway serves, read from descriptors, so that any image will do and none is compiled in. */
import { createHash } from "node:crypto";
import {
  create,
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getOption,
  hasOption,
  toBinary,
} from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { http } from "#gen/google/api/annotations_pb.ts";
import type { HttpRule } from "#gen/google/api/http_pb.ts";
import { type AccessRule, access } from "#gen/heddle/v1/access_pb.ts";
import type { ContractFiles } from "./sources/source.ts";

/** One rpc of an image with what its options say. */
export interface ContractMethod {
  readonly desc: DescMethod;
  /** The google.api.http rule; undefined when the method has none. */
  readonly http: HttpRule | undefined;
  /** The heddle.v1.access rule; undefined when the method has none. */
  readonly access: AccessRule | undefined;
}

/** An image, read: every type for Any and error details, and every method. */
export interface Contracts {
  readonly types: FileRegistry;
  /** In the order of the image: files, services, methods. */
  readonly methods: readonly ContractMethod[];
  /** Where they come from, for people. */
  readonly origin: string;
  /** Twelve hexadecimal digits of a digest of the files: the same files have the same version. */
  readonly version: string;
}

/** An image that cannot be read, or rules in it that cannot be served: one sentence for each mistake, all of them at once. */
export class ContractError extends Error {
  override readonly name = "ContractError";
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`contracts:\n${mistakes.map((mistake) => `  ${mistake}`).join("\n")}`);
    this.mistakes = mistakes;
  }
}

/**
 * Reads a buf image or a google.protobuf.FileDescriptorSet (`buf build -o`, `protoc --include_imports --descriptor_set_out`).
 *
 * @param origin where the bytes come from, for people
 * @throws ContractError when the bytes are no such image or an import is missing from it.
 */
export function loadContracts(image: Uint8Array, origin = "image"): Contracts {
  return contractsOf({ origin, files: filesOf(image), services: undefined });
}

/**
 * The files of an image, not yet looked at.
 *
 * @throws ContractError when the bytes are no image.
 */
export function filesOf(image: Uint8Array): readonly FileDescriptorProto[] {
  try {
    const { file } = fromBinary(FileDescriptorSetSchema, image);
    if (file.length > 0) return file;
  } catch (error) {
    throw noImage(`${image.length} bytes: ${reasonOf(error)}`);
  }
  throw noImage(`${image.length} bytes without any file`);
}

/**
 * What files say.
 *
 * @throws ContractError when an import is missing.
 */
export function contractsOf({ origin, files, services }: ContractFiles): Contracts {
  const types = link(files);
  const methods: ContractMethod[] = [];
  for (const file of types.files) {
    for (const service of file.services) {
      if (services !== undefined && !services.has(service.typeName)) continue;
      for (const desc of service.methods) {
        methods.push({
          desc,
          http: hasOption(desc, http) ? getOption(desc, http) : undefined,
          access: hasOption(desc, access) ? getOption(desc, access) : undefined,
        });
      }
    }
  }
  return { types, methods, origin, version: versionOf(files, services) };
}

function link(files: readonly FileDescriptorProto[]): FileRegistry {
  try {
    return createFileRegistry(create(FileDescriptorSetSchema, { file: [...files] }));
  } catch (error) {
    throw noImage(`${files.length} files: ${reasonOf(error)}`);
  }
}

function versionOf(files: readonly FileDescriptorProto[], services: ReadonlySet<string> | undefined): string {
  const hash = createHash("sha256");
  for (const file of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) hash.update(toBinary(FileDescriptorProtoSchema, file));
  return hash
    .update([...(services ?? [])].sort().join())
    .digest("hex")
    .slice(0, 12);
}

function noImage(got: string): ContractError {
  return new ContractError([`expected a buf image or FileDescriptorSet with all its imports, got ${got}`]);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
