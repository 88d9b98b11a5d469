/** The .proto files that the gateway itself is built with: well-known types, and the options that it reads. */
import type { DescFile } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_compiler_plugin,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "#gen/buf/validate/validate_pb.ts";
import { file_google_api_annotations } from "#gen/google/api/annotations_pb.ts";
import { file_google_api_httpbody } from "#gen/google/api/httpbody_pb.ts";
import { file_google_rpc_code } from "#gen/google/rpc/code_pb.ts";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "#gen/google/rpc/status_pb.ts";
import { file_heddle_v1_access } from "#gen/heddle/v1/access_pb.ts";

/**
 * By path, imports first. They stand in for those of backends: each language carries its own edition of descriptor.proto and its friends, and
 * those differ without meaning anything.
 */
export const ownFiles: ReadonlyMap<string, FileDescriptorProto> = collect([
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_compiler_plugin,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
  file_buf_validate_validate,
  file_google_api_annotations,
  file_google_api_httpbody,
  file_google_rpc_code,
  file_google_rpc_error_details,
  file_google_rpc_status,
  file_heddle_v1_access,
]);

function collect(files: readonly DescFile[]): Map<string, FileDescriptorProto> {
  const found = new Map<string, FileDescriptorProto>();
  const add = (file: DescFile): void => {
    if (found.has(file.proto.name)) return;
    for (const imported of file.dependencies) add(imported);
    found.set(file.proto.name, file.proto);
  };
  for (const file of files) add(file);
  return found;
}
