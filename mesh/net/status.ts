/** What the end of a response means in gRPC's codes. */
import { constants } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { fieldOf, metadataOf } from "./fields.ts";
import type { IncomingFields } from "./wire.ts";

/** An error that the wire found or received. It never relays its metadata when a handler throws it on. */
export function wireError(code: Code, message: string, cause?: unknown): ConnectError {
  const error = new ConnectError(message, code, undefined, undefined, cause);
  error.isWireError = true;
  return error;
}

/**
 * Reads the status from the fields that hold grpc-status: `missing` when there is none, undefined for OK.
 *
 * grpc-message is percent-encoded UTF-8; grpc-status-details-bin is a google.rpc.Status whose details the error takes over when
 * its code agrees. A status that is no number is UNKNOWN, and so is one beyond the enum (gRPC, "Status codes and their use").
 */
export function readStatus(trailer: IncomingFields, header?: IncomingFields): ConnectError | undefined | "missing" {
  const text = fieldOf(trailer, "grpc-status");
  if (text === undefined) return "missing";
  if (text === "0") return undefined;
  const number = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  const known = number >= 1 && number <= 16;
  const message = percentDecode(fieldOf(trailer, "grpc-message") ?? "");
  const error = wireError(
    known ? number : Code.Unknown,
    known ? message : `grpc-status: expected 0 to 16, got ${JSON.stringify(text)}${message === "" ? "" : `: ${message}`}`,
  );
  metadataOf(...(header === undefined ? [trailer] : [header, trailer])).forEach((value, name) => {
    error.metadata.append(name, value);
  });
  const details = fieldOf(trailer, "grpc-status-details-bin");
  if (details !== undefined) addDetails(error, details);
  return error;
}

/** The code for an HTTP status that came without grpc-status (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function codeOfHttpStatus(status: number): Code {
  return codeByHttpStatus[status] ?? Code.Unknown;
}

/** The code for a RST_STREAM (gRPC over HTTP/2, "Errors"). */
export function codeOfReset(reset: number): Code {
  return codeByReset[reset] ?? Code.Unknown;
}

/** The name of an HTTP/2 error code, for messages. */
export function nameOfReset(reset: number): string {
  return resetNames.get(reset) ?? `error ${reset}`;
}

/** Percent-decoding that keeps what is not an escape, and never fails: the text may come from anywhere. */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  const bytes: Buffer[] = [];
  let from = 0;
  for (const found of text.matchAll(/%([0-9a-fA-F]{2})/g)) {
    bytes.push(Buffer.from(text.slice(from, found.index), "latin1"), Buffer.from(found[1] ?? "", "hex"));
    from = found.index + found[0].length;
  }
  bytes.push(Buffer.from(text.slice(from), "latin1"));
  return Buffer.concat(bytes).toString("utf8");
}

function addDetails(error: ConnectError, base64: string): void {
  try {
    const status = fromBinary(StatusSchema, new Uint8Array(Buffer.from(base64, "base64")));
    if (status.code !== error.code) return;
    error.details = status.details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  } catch {
    // Details are an extra: a peer that garbles them has still told its code and message.
  }
}

const codeByHttpStatus: Readonly<Record<number, Code>> = {
  400: Code.Internal,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.Unimplemented,
  429: Code.Unavailable,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.Unavailable,
};

const codeByReset: Readonly<Record<number, Code>> = {
  [constants.NGHTTP2_NO_ERROR]: Code.Internal,
  [constants.NGHTTP2_PROTOCOL_ERROR]: Code.Internal,
  [constants.NGHTTP2_INTERNAL_ERROR]: Code.Internal,
  [constants.NGHTTP2_FLOW_CONTROL_ERROR]: Code.Internal,
  [constants.NGHTTP2_SETTINGS_TIMEOUT]: Code.Internal,
  [constants.NGHTTP2_STREAM_CLOSED]: Code.Internal,
  [constants.NGHTTP2_FRAME_SIZE_ERROR]: Code.Internal,
  [constants.NGHTTP2_REFUSED_STREAM]: Code.Unavailable,
  [constants.NGHTTP2_CANCEL]: Code.Canceled,
  [constants.NGHTTP2_COMPRESSION_ERROR]: Code.Internal,
  [constants.NGHTTP2_CONNECT_ERROR]: Code.Internal,
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: Code.ResourceExhausted,
  [constants.NGHTTP2_INADEQUATE_SECURITY]: Code.PermissionDenied,
  [constants.NGHTTP2_HTTP_1_1_REQUIRED]: Code.Internal,
};

const resetNames: ReadonlyMap<number, string> = new Map([
  [constants.NGHTTP2_NO_ERROR, "NO_ERROR"],
  [constants.NGHTTP2_PROTOCOL_ERROR, "PROTOCOL_ERROR"],
  [constants.NGHTTP2_INTERNAL_ERROR, "INTERNAL_ERROR"],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR, "FLOW_CONTROL_ERROR"],
  [constants.NGHTTP2_SETTINGS_TIMEOUT, "SETTINGS_TIMEOUT"],
  [constants.NGHTTP2_STREAM_CLOSED, "STREAM_CLOSED"],
  [constants.NGHTTP2_FRAME_SIZE_ERROR, "FRAME_SIZE_ERROR"],
  [constants.NGHTTP2_REFUSED_STREAM, "REFUSED_STREAM"],
  [constants.NGHTTP2_CANCEL, "CANCEL"],
  [constants.NGHTTP2_COMPRESSION_ERROR, "COMPRESSION_ERROR"],
  [constants.NGHTTP2_CONNECT_ERROR, "CONNECT_ERROR"],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM"],
  [constants.NGHTTP2_INADEQUATE_SECURITY, "INADEQUATE_SECURITY"],
  [constants.NGHTTP2_HTTP_1_1_REQUIRED, "HTTP_1_1_REQUIRED"],
]);
