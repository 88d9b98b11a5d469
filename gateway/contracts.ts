/** The contracts that the gateway serves, read from descriptors, so that any image will do and none is compiled in. */
import { createFileRegistry, type DescMethod, type FileRegistry, fromBinary, getOption, hasOption } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { http } from "#gen/google/api/annotations_pb.ts";
import type { HttpRule } from "#gen/google/api/http_pb.ts";
import { type AccessRule, access } from "#gen/heddle/v1/access_pb.ts";

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
 * @throws ContractError when the bytes are no such image or an import is missing from it.
 */
export function loadContracts(image: Uint8Array): Contracts {
  const types = readImage(image);
  const methods: ContractMethod[] = [];
  for (const file of types.files) {
    for (const service of file.services) {
      for (const desc of service.methods) {
        methods.push({
          desc,
          http: hasOption(desc, http) ? getOption(desc, http) : undefined,
          access: hasOption(desc, access) ? getOption(desc, access) : undefined,
        });
      }
    }
  }
  return { types, methods };
}

function readImage(image: Uint8Array): FileRegistry {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ContractError([
      `expected a buf image or FileDescriptorSet with all its imports, got ${image.length} bytes: ${reason}`,
    ]);
  }
}
