/** The answer to a path that is no method of ours: UNIMPLEMENTED, in the words of the protocol that asked. */
import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { Code } from "@connectrpc/connect";

/** What to send. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * gRPC and gRPC-Web: HTTP 200 with the status in the headers (a trailers-only response), since many clients look at nothing
 * else. Connect and everybody else: HTTP 404 with Connect's error as JSON.
 */
export function unknownMethodReply(path: string, contentType: string | undefined): Reply {
  const message = `unknown method ${path.slice(0, 200)}`;
  if (contentType?.startsWith("application/grpc") === true) {
    const headers = {
      "content-type": contentType,
      "grpc-status": String(Code.Unimplemented),
      "grpc-message": percentEncode(message),
    };
    return { status: 200, headers, body: "" };
  }
  return {
    status: 404,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code: "unimplemented", message }),
  };
}

/** Sends that reply, and does not wait for a request body that nobody will read. */
export function sendReply(response: ServerResponse | Http2ServerResponse, { status, headers, body }: Reply): void {
  if (!("stream" in response)) {
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body), connection: "close" });
    response.end(body);
    return;
  }
  const { stream } = response;
  if (stream.destroyed) return;
  // Trailers-only means that the headers end the stream; Node's response object would send an empty DATA frame after them.
  const endStream = body === "";
  stream.respond({ ":status": status, ...headers }, { endStream });
  if (!endStream) stream.end(body);
  stream.resume();
}

/** gRPC's own escape: all but printable ASCII, and the percent sign; also spaces at the ends, which HTTP/2 forbids. */
export function percentEncode(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]|^ | $/gu, encodeURIComponent);
}
