/** gRPC as bytes, for what no client library would send, and without a client's own deadline getting in first. */

import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** How a stream ended: its headers and trailers, or the code of its reset. */
export interface RawOutcome {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Whether the headers ended the stream: gRPC's trailers-only response. */
  readonly trailersOnly: boolean;
  /** Of a trailers-only response its one block. */
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** 0 unless the stream was reset. */
  readonly rstCode: number;
  /** Milliseconds from the request to the end. */
  readonly ms: number;
}

/** Sends `body`, or its parts one after the other, to `path`; leaves the request open when `end` is false. */
export function rawCall(o: {
  url: string;
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | readonly Uint8Array[];
  end?: boolean;
  /** Resets the stream with CANCEL, and nothing before it. */
  signal?: AbortSignal;
}): Promise<RawOutcome> {
  const session = connect(o.url);
  return new Promise<RawOutcome>((resolve, reject) => {
    session.once("error", reject);
    const started = performance.now();
    const fields = {
      ":method": "POST",
      ":path": o.path,
      "content-type": "application/grpc",
      te: "trailers",
      ...o.headers,
    };
    const stream = session.request(fields, o.signal === undefined ? {} : { signal: o.signal });
    let status: number | undefined;
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    let trailersOnly = false;
    const body: Buffer[] = [];
    stream.on("response", (received, flags) => {
      status = received[":status"];
      headers = received;
      trailersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      if (trailersOnly) trailers = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("error", () => undefined);
    stream.on("close", () => {
      const ms = performance.now() - started;
      resolve({ status, headers, trailersOnly, trailers, body: Buffer.concat(body), rstCode: stream.rstCode ?? 0, ms });
    });
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    for (const part of [o.body ?? []].flat()) stream.write(part);
    if (o.end !== false) stream.end();
  }).finally(() => session.destroy());
}

/** One message with gRPC's prefix: uncompressed, length. */
export function envelope(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(5 + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, 5);
  return framed;
}

/** The same of a typed message. */
export function framed<D extends DescMessage>(schema: D, message: MessageShape<D>): Uint8Array {
  return envelope(toBinary(schema, message));
}
