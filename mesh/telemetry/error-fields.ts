import { Code, ConnectError } from "@connectrpc/connect";
import { stdSerializers } from "pino";

/**
 * What the log shows of an error. Of a ConnectError that is its code by name, and its details as type and value: the object itself holds
 * descriptors, which are thousands of characters, and metadata, which may hold secrets. Any other error is shown as pino does.
 */
export function errorFields(error: Error): object {
  const { type, message, stack, ...rest } = stdSerializers.err(error);
  if (!(error instanceof ConnectError)) return { type, message, stack, ...rest };
  const details = error.details.map((detail) =>
    "desc" in detail ? { type: detail.desc.typeName, value: detail.value } : { type: detail.type },
  );
  return { type: "ConnectError", code: Code[error.code], message, stack, ...(details.length > 0 && { details }) };
}
