/** The request messages of a streaming call: read at the server's pace, and kept for another attempt as long as one is possible. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { WireCall } from "../net/wire.ts";

/** What a request is made with. */
export interface RequestOptions {
  /** Encodes one message; what it throws ends the call. */
  readonly encode: (message: unknown) => Uint8Array;
  /** Bytes kept for replay. What goes beyond commits the call to its present attempt. */
  readonly replayLimit: number;
  /** The replay limit was passed. */
  readonly onOverflow: () => void;
  /** The source or encode() threw. */
  readonly onError: (error: unknown) => void;
}

/** Feeds one attempt after the other from one source of messages. */
export class RequestMessages {
  readonly #source: AsyncIterator<unknown>;
  readonly #options: RequestOptions;
  /** The source belongs to the caller and must run in the caller's context, not in that of the wire's event which asks for more. */
  readonly #inContext = AsyncLocalStorage.snapshot();
  #call: WireCall | undefined;
  /** Messages still needed: all of them, or once committed those not yet sent. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #next = 0;
  #room = true;
  #reading = false;
  #ended = false;
  #finished = false;
  #committed = false;
  #dropped = false;

  constructor(source: AsyncIterable<unknown>, options: RequestOptions) {
    this.#source = source[Symbol.asyncIterator]();
    this.#options = options;
  }

  /** Whether every message is still at hand, so that another attempt can send the same request. */
  get replayable(): boolean {
    return !this.#dropped && !this.#committed;
  }

  /** Whether messages have been let go: then not even a request that was refused can be sent again. */
  get dropped(): boolean {
    return this.#dropped;
  }

  /** Sends everything from the first message on over `call`. */
  attach(call: WireCall): void {
    this.#call = call;
    this.#next = 0;
    this.#room = true;
    this.#finished = false;
    this.#flush();
  }

  /** The attempt is over; messages that are read meanwhile wait for the next. */
  detach(): void {
    this.#call = undefined;
  }

  /** The wire has room again. */
  drained(): void {
    if (this.#committed) this.#drop();
    this.#room = true;
    this.#flush();
  }

  /** No other attempt will come: messages need not be kept any longer. */
  commit(): void {
    this.#committed = true;
  }

  /** The call is over; lets the source clean up. */
  close(): void {
    this.#call = undefined;
    this.#kept = [];
    if (this.#ended) return;
    this.#ended = true;
    // Not awaited: a generator that waits for something of its own answers only after that.
    this.#inContext(() => this.#source.return?.()?.catch(() => {}));
  }

  #flush(): void {
    while (this.#call !== undefined && this.#room && this.#next < this.#kept.length) {
      const message = this.#kept[this.#next++];
      if (message !== undefined) this.#room = this.#call.send(message);
    }
    if (this.#call === undefined || this.#next < this.#kept.length) return;
    if (this.#ended && !this.#finished) {
      this.#finished = true;
      this.#call.finish();
    } else if (this.#room && !this.#ended) {
      if (this.#committed) this.#drop();
      this.#read();
    }
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#inContext(() => {
      this.#source.next().then(
        (result) => {
          this.#reading = false;
          this.#take(result);
        },
        (error) => {
          this.#ended = true;
          this.#options.onError(error);
        },
      );
    });
  }

  #take(result: IteratorResult<unknown>): void {
    if (this.#ended) return;
    if (result.done === true) this.#ended = true;
    else {
      try {
        this.#keep(this.#options.encode(result.value));
      } catch (error) {
        this.#options.onError(error);
        return;
      }
    }
    this.#flush();
  }

  #keep(message: Uint8Array): void {
    this.#kept.push(message);
    this.#keptBytes += message.byteLength;
    if (this.#committed || this.#keptBytes <= this.#options.replayLimit) return;
    this.#committed = true;
    this.#options.onOverflow();
  }

  #drop(): void {
    if (this.#next === 0) return;
    this.#kept.splice(0, this.#next);
    this.#next = 0;
    this.#dropped = true;
  }
}
