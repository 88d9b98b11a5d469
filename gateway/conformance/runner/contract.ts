/** The contract that vectors are about: built from `proto/` by buf, with rules added for the vectors about booting. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import {
  clearExtension,
  create,
  createFileRegistry,
  type FileRegistry,
  fromBinary,
  fromJson,
  getExtension,
  hasExtension,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodDescriptorProtoSchema,
  MethodOptionsSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { http } from "#gen/google/api/annotations_pb.ts";
import { type HttpRule, HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import type { BootRule } from "./vector.ts";

/** The package of the contract; a backend answers for all of its services. */
export const contractPackage = "conformance.v1";

/** The contract as an image and as descriptors. */
export interface Contract {
  /** A google.protobuf.FileDescriptorSet with all imports. */
  readonly image: Uint8Array;
  readonly types: FileRegistry;
  /** The full names of its services. */
  readonly services: readonly string[];
}

/**
 * Builds the contract with buf, from the google/* protos that npm packages carry; nothing is written.
 *
 * @throws Error with buf's message when it does not compile.
 */
export function buildContract(): Contract {
  const googleapis = "node_modules/google-gax/build/protos";
  const config = {
    version: "v2",
    modules: [
      { path: folder },
      {
        path: googleapis,
        includes: [`${googleapis}/google/api`, `${googleapis}/google/rpc`],
        excludes: [...unusedApis.map((name) => `${googleapis}/google/api/${name}`), `${googleapis}/google/rpc/context`],
      },
    ],
  };
  const paths = [`${folder}/conformance`, `${googleapis}/google/rpc/error_details.proto`].flatMap((path) => ["--path", path]);
  const args = [
    "build",
    "--config",
    JSON.stringify(config),
    ...paths,
    "--exclude-source-info",
    "--as-file-descriptor-set",
    "-o",
    "-",
  ];
  const image = execFileSync(join(root, "node_modules/.bin/buf"), args, { cwd: root, maxBuffer: 2 ** 26 });
  return contractOf(new Uint8Array(image));
}

/** Reads an image. */
export function contractOf(image: Uint8Array): Contract {
  const types = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  const services = [...types]
    .filter((type) => type.kind === "service")
    .map(({ typeName }) => typeName)
    .filter((name) => name.startsWith(`${contractPackage}.`));
  return { image, types, services };
}

/** The file that holds the rules of a vector about booting, and the service in it. */
export const bootFile = "boot/v1/boot.proto";
export const bootService = "boot.v1.BootService";

/** The contract's messages with a service of nothing but the given rules. */
export function bootImage(contract: Contract, rules: readonly BootRule[]): Uint8Array {
  const set = fromBinary(FileDescriptorSetSchema, contract.image);
  const kept = set.file.filter(
    (file) => !file.name.startsWith("conformance/v1/") || file.name === "conformance/v1/messages.proto",
  );
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...kept, bootProto(rules)] }));
}

/** The image without the rules of these methods and paths (`GET /v1/{name}`): for peers that refuse the whole contract because of some of them. */
export function withoutRules(contract: Contract, rules: ReadonlySet<string>): Contract {
  const set = fromBinary(FileDescriptorSetSchema, contract.image);
  for (const { options } of set.file.flatMap(({ service }) => service).flatMap(({ method }) => method)) {
    if (options === undefined || !hasExtension(options, http)) continue;
    const { additionalBindings, ...rule } = getExtension(options, http);
    const [first, ...others] = [{ ...rule, additionalBindings: [] }, ...additionalBindings].filter(
      (kept) => !rules.has(patternOf(kept)),
    );
    if (first === undefined) clearExtension(options, http);
    else setExtension(options, http, create(HttpRuleSchema, { ...first, additionalBindings: others }));
  }
  return contractOf(toBinary(FileDescriptorSetSchema, set));
}

function patternOf({ pattern }: HttpRule): string {
  if (pattern.case === "custom") return `${pattern.value.kind} ${pattern.value.path}`;
  return `${pattern.case?.toUpperCase()} ${pattern.value}`;
}

const root = join(import.meta.dirname, "../../..");
const folder = "gateway/conformance/proto";
const unusedApis = ["apikeys", "cloudquotas", "expr", "servicecontrol", "servicemanagement", "serviceusage"];

function bootProto(rules: readonly BootRule[]): FileDescriptorProto {
  return create(FileDescriptorProtoSchema, {
    name: bootFile,
    package: "boot.v1",
    syntax: "proto3",
    dependency: ["conformance/v1/messages.proto", "google/api/annotations.proto"],
    service: [create(ServiceDescriptorProtoSchema, { name: "BootService", method: rules.map(methodOf) })],
  });
}

function methodOf(rule: BootRule) {
  const options = create(MethodOptionsSchema);
  setExtension(options, http, fromJson(HttpRuleSchema, rule.http));
  return create(MethodDescriptorProtoSchema, {
    name: rule.rpc,
    inputType: `.${contractPackage}.${rule.input ?? "Everything"}`,
    outputType: `.${contractPackage}.${rule.output ?? "Everything"}`,
    options,
  });
}
