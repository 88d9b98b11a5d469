/** The response messages of a call, from the wire to whoever reads them, with the peer held back when the reader is slow. */
import type { ConnectError } from "@connectrpc/connect";
import type { WireCall } from "../net/wire.ts";

/** Bytes that may wait for the reader before the wire is paused: what one read of a socket brings. */
const highWater = 64 * 1024;

/** A queue with one reader. */
export class ResponseMessages {
  #queue: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #over: { readonly error: ConnectError | undefined } | undefined;
  #reader: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  #wire: WireCall | undefined;

  /** The call whose flow the reader's pace controls. */
  control(wire: WireCall): void {
    this.#wire = wire;
    if (this.#paused) wire.pause();
  }

  /** Messages that wait. */
  get length(): number {
    return this.#queue.length;
  }

  push(message: Uint8Array): void {
    if (this.#reader !== undefined) {
      this.#reader.resolve(message);
      this.#reader = undefined;
      return;
    }
    this.#queue.push(message);
    this.#bytes += message.byteLength;
    if (this.#paused || this.#bytes < highWater) return;
    this.#paused = true;
    this.#wire?.pause();
  }

  /** No more messages come; the reader gets what waits, then the end. */
  end(error: ConnectError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    if (this.#reader === undefined) return;
    if (error === undefined) this.#reader.resolve(undefined);
    else this.#reader.reject(error);
    this.#reader = undefined;
  }

  /** Ends with `error` at once; what waits is dropped. */
  abort(error: ConnectError): void {
    if (this.#over === undefined) this.#queue = [];
    this.end(error);
  }

  /** The next message, or undefined at the end; rejects when the call failed. */
  next(): Promise<Uint8Array | undefined> {
    const message = this.#queue.shift();
    if (message !== undefined) {
      this.#bytes -= message.byteLength;
      if (this.#paused && this.#queue.length === 0) this.#resume();
      return Promise.resolve(message);
    }
    if (this.#over !== undefined) {
      const { error } = this.#over;
      // A reader that asks again after the failure gets the end, as from any other iterator.
      this.#over = { error: undefined };
      return error === undefined ? Promise.resolve(undefined) : Promise.reject(error);
    }
    this.#reader ??= Promise.withResolvers();
    return this.#reader.promise;
  }

  #resume(): void {
    this.#paused = false;
    this.#wire?.resume();
  }
}
