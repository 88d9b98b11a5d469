/** grpc.reflection v1 and v1alpha (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md) over generated descriptors. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflectionRequestSchema as AlphaRequestSchema,
  ServerReflectionResponseSchema as AlphaResponseSchema,
  ServerReflection as AlphaServerReflection,
} from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { DescriptorIndex } from "./descriptor-index.ts";
import { type Implementation, implement } from "./implementation.ts";

/** Both versions, telling of `served` and of themselves. An error is an answer in the stream, which stays open. */
export function reflectionServices(served: readonly Implementation[]): readonly Implementation[] {
  const services = [...served.map(({ service }) => service), ServerReflection, AlphaServerReflection];
  // Errors carry these details as Any, and grpcurl shows them decoded when it can learn what they are.
  const index = new DescriptorIndex([...services.map(({ file }) => file), file_google_rpc_error_details]);
  const names = services.map(({ typeName }) => typeName).sort();
  return [
    implement(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) yield answer(index, names, request);
      },
    }),
    implement(AlphaServerReflection, {
      // The two versions differ in their package alone, so what is one on the wire is the other.
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const asV1 = fromBinary(ServerReflectionRequestSchema, toBinary(AlphaRequestSchema, request));
          const response = toBinary(ServerReflectionResponseSchema, answer(index, names, asV1));
          yield fromBinary(AlphaResponseSchema, response);
        }
      },
    }),
  ];
}

function answer(index: DescriptorIndex, names: readonly string[], request: ServerReflectionRequest): ServerReflectionResponse {
  return create(ServerReflectionResponseSchema, {
    validHost: request.host,
    originalRequest: request,
    messageResponse: messageResponse(index, names, request),
  });
}

type MessageResponse = ServerReflectionResponse["messageResponse"];

function messageResponse(index: DescriptorIndex, names: readonly string[], { messageRequest }: ServerReflectionRequest) {
  switch (messageRequest.case) {
    case "fileByFilename":
      return files(index.fileByName(messageRequest.value), "file", messageRequest.value);
    case "fileContainingSymbol":
      // Some clients write a fully qualified name with the leading dot.
      return files(index.fileBySymbol(messageRequest.value.replace(/^\./, "")), "symbol", messageRequest.value);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      return files(index.fileByExtension(containingType, extensionNumber), "extension", `${containingType} ${extensionNumber}`);
    }
    case "allExtensionNumbersOfType": {
      const numbers = index.extensionNumbers(messageRequest.value);
      if (numbers === undefined)
        return error(Code.NotFound, `the message type ${JSON.stringify(messageRequest.value)} is not known`);
      const value = { baseTypeName: messageRequest.value, extensionNumber: [...numbers] };
      return { case: "allExtensionNumbersResponse", value } as MessageResponse;
    }
    case "listServices":
      return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } } as MessageResponse;
    default:
      return error(Code.InvalidArgument, "message_request: expected one of its fields, got none");
  }
}

function files(found: readonly Uint8Array[] | undefined, what: string, name: string): MessageResponse {
  if (found === undefined) return error(Code.NotFound, `the ${what} ${JSON.stringify(name)} is not known`);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: [...found] } } as MessageResponse;
}

function error(errorCode: Code, errorMessage: string): MessageResponse {
  return { case: "errorResponse", value: { errorCode, errorMessage } } as MessageResponse;
}
