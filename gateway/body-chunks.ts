/** A request's body as it comes, chunk by chunk, for streams: never gathered, and read no faster than the chunks are taken. */
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { canceled, invalidArgument } from "#mesh/errors.ts";
import { type Encoding, encodingsOf, hasBody } from "./body.ts";
import { Inbox } from "./inbox.ts";
import { inviteBody } from "./invitation.ts";
import { httpError } from "./status.ts";

/**
 * The chunks of the body, its Content-Encoding undone. Without one they are the very buffers that the socket filled.
 *
 * Iterating throws CANCELLED when the client goes away before the end, an error of status 408 when it sends nothing for `idleMs`
 * milliseconds although it may, and INVALID_ARGUMENT when the body is not in its encoding.
 *
 * @throws an error of status 415 for an unknown Content-Encoding.
 */
export function bodyChunks(request: IncomingMessage, idleMs: number): AsyncGenerator<Buffer> {
  const encodings = hasBody(request) ? encodingsOf(request).reverse() : [];
  return lazily(() => open(request, encodings, idleMs));
}

/** Nothing listens to a body that nobody reads, so that it can be dropped. */
async function* lazily(start: () => AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* start();
}

function open(request: IncomingMessage, encodings: readonly Encoding[], idleMs: number): Inbox<Buffer> {
  inviteBody(request);
  const stages: Readable[] = [request, ...encodings.map((encoding) => decompressors[encoding]())];
  const source = stages.at(-1) ?? request;
  const tap = {
    pause: () => source.pause(),
    resume() {
      timer = setTimeout(() => fail(httpError(408, Code.DeadlineExceeded, idle, { connection: "close" })), idleMs);
      source.resume();
    },
    close,
  };
  // Node holds 64 KB behind a paused request and reads on until then, so a client that leaves meanwhile is noticed.
  const inbox = new Inbox<Buffer>(tap, { paused: true, highWater: 0, sizeOf: ({ length }) => length });
  let timer: NodeJS.Timeout | undefined;
  const idle = `body: expected more of it within ${idleMs} ms`;

  function fail(error: unknown): void {
    inbox.end(error);
    close();
  }
  function onData(chunk: Buffer): void {
    clearTimeout(timer);
    inbox.push(chunk);
  }
  function onEnd(): void {
    inbox.end();
    close();
  }
  const onGone = () => {
    // With a decompressor behind it, the request closes before the last chunk has come through.
    if (!request.readableEnded) fail(canceled("the client went away before its body was complete"));
  };
  const onGarbled = () =>
    fail(invalidArgument([{ field: "", description: `body: expected ${encodings.join(", ")}, as content-encoding says` }]));
  function close(): void {
    clearTimeout(timer);
    source.off("data", onData).off("end", onEnd);
    request.off("close", onGone).off("error", onGone);
    if (source === request) return;
    request.unpipe();
    for (const stage of stages.slice(1)) stage.destroy();
  }

  for (const [index, stage] of stages.entries()) {
    const before = stages[index - 1];
    if (before === undefined) continue;
    // What fails after the end is nobody's business, and without a listener it would end the process.
    stage.on("error", onGarbled);
    before.pipe(stage as Readable & NodeJS.WritableStream);
  }
  source.on("end", onEnd).on("data", onData);
  // Listening made it flow; it waits for a reader instead.
  source.pause();
  request.on("close", onGone).on("error", onGone);
  if (request.destroyed) onGone();
  return inbox;
}

const decompressors: Readonly<Record<Encoding, () => Readable>> = {
  gzip: () => createGunzip(),
  br: () => createBrotliDecompress(),
  deflate: () => createInflate(),
};
