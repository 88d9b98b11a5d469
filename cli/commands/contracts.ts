import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createFileRegistry,
  createRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  type Registry,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { Failure } from "../failure.ts";

/** The contracts of the platform, from gen/contracts.binpb. */
export function loadContracts(root: string): FileRegistry {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(join(root, "gen/contracts.binpb"))));
}

/** The types that JSON of calls and their errors may name in an Any. */
export function typesOf(contracts: FileRegistry): Registry {
  return createRegistry(contracts, file_google_rpc_error_details);
}

/**
 * The method that `pkg.Service/Method` names; `pkg.Service.Method` is taken too.
 *
 * @throws Failure naming what there is, when there is no such method.
 */
export function findMethod(contracts: FileRegistry, name: string): DescMethod {
  const at = name.includes("/") ? name.lastIndexOf("/") : name.lastIndexOf(".");
  const [contract, method] = [name.slice(0, Math.max(0, at)).replace(/^\//, ""), name.slice(at + 1)];
  const service = contracts.getService(contract);
  if (service === undefined) {
    const known = [...contracts].flatMap((desc) => (desc.kind === "service" ? [desc.typeName] : [])).toSorted();
    throw new Failure(`${name}: expected pkg.Service/Method, with one of the services ${known.join(", ")}`, 2);
  }
  const found = service.methods.find((one) => one.name === method);
  if (found === undefined) {
    throw new Failure(`${contract} has no method ${method}; it has ${service.methods.map((one) => one.name).join(", ")}`, 2);
  }
  return found;
}
