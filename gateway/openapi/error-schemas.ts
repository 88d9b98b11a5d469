/** The schemas of errors: google.rpc.Status with its details, and the same as application/problem+json. */
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import type { Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";

/** References to both forms of an error. */
export interface ErrorSchemas {
  readonly status: Schema;
  readonly problem: Schema;
}

/** Adds the components of errors. */
export function errorSchemas(schemas: Schemas): ErrorSchemas {
  const details = file_google_rpc_error_details.messages.map((type): Schema => {
    const url = `type.googleapis.com/${type.typeName}`;
    return { allOf: [{ type: "object", properties: { "@type": { const: url } }, required: ["@type"] }, schemas.message(type)] };
  });
  const other: Schema = {
    type: "object",
    description: "A detail of another type.",
    properties: { "@type": { type: "string" } },
    required: ["@type"],
    additionalProperties: true,
  };
  const detail = schemas.add("ErrorDetail", {
    description: "More about an error; `@type` says what.",
    anyOf: [...details, other],
  });
  const properties: Schema = {
    code: { type: "integer", format: "int32", description: "The gRPC code.", minimum: 0, maximum: 2 ** 31 - 1 },
    message: { type: "string", description: "What was expected and what came." },
    details: { type: "array", items: detail },
  };
  const required = ["code", "message"];
  const status = schemas.add("Status", {
    type: "object",
    description: "An error: google.rpc.Status.",
    properties,
    required,
  });
  const problem = schemas.add("Problem", {
    type: "object",
    description: "An error as RFC 9457 has it, for clients that accept application/problem+json.",
    properties: {
      type: { type: "string", format: "uri-reference" },
      title: { type: "string" },
      status: { type: "integer", minimum: 400, maximum: 599 },
      detail: { type: "string" },
      ...properties,
    },
    required: ["type", "title", "status", "detail", ...required],
  });
  return { status, problem };
}
