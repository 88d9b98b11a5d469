import { connect } from "node:net";

/** What came back on a connection until it was closed, by either side. */
export interface RawAnswer {
  readonly bytes: Buffer;
  /** False when this side hung up, since `timeoutMs` had passed. */
  readonly closed: boolean;
}

/** How the bytes go out. */
export interface RawOptions {
  /** Hangs up the sending side after the bytes; default: it stays open. */
  readonly end?: boolean;
  /** How long the other side may keep the connection, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Hangs up when this has come. Default: waits for the other side. */
  readonly enough?: (bytes: Buffer) => boolean;
}

/** Sends bytes as they are and reads until the connection ends. Never rejects: a connection that breaks is an answer, too. */
export function exchange(port: number, bytes: Uint8Array, options: RawOptions = {}): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let closed = true;
    const socket = connect(port, "127.0.0.1");
    const hangUp = () => {
      closed = false;
      socket.destroy();
    };
    const timer = setTimeout(hangUp, options.timeoutMs ?? 10_000);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (options.enough?.(Buffer.concat(chunks)) === true) socket.destroy();
    });
    // What has come before a reset counts; the close follows.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve({ bytes: Buffer.concat(chunks), closed });
    });
    if (options.end === true) socket.end(bytes);
    else socket.write(bytes);
  });
}
