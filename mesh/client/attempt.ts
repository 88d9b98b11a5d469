/** One attempt of a call on one endpoint. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { wireError } from "../net/status.ts";
import {
  type IncomingFields,
  noFields,
  type OutgoingFields,
  type Reach,
  type Wire,
  type WireCall,
  type WireEnd,
  type WireEvents,
} from "../net/wire.ts";
import type { EndedBy } from "../policy/classify.ts";
import { ResponseMessages } from "./response.ts";

/** What an attempt sends. */
export interface AttemptRequest {
  readonly path: string;
  readonly header: OutgoingFields;
  /** The only message; undefined when messages follow. */
  readonly message: Uint8Array | undefined;
  readonly maxResponseBytes: number;
  /** True when the method has one response: the attempt is then read to its end before anybody sees anything of it. */
  readonly unary: boolean;
  /** Whether the method may be called twice (its idempotency_level). */
  readonly idempotent: boolean;
  /** Milliseconds until the first response must have come; undefined for no limit but the call's. */
  readonly timeoutMs: number | undefined;
  /** The wire has room for more request messages. */
  readonly onDrain: () => void;
}

/** How an attempt ended. */
export interface AttemptEnd {
  readonly by: EndedBy;
  /** Undefined for OK. */
  readonly error: ConnectError | undefined;
  /**
   * Whether response headers had come: such an attempt is not repeated (gRFC A6). A unary idempotent call whose connection broke
   * before its status is the exception: nobody has seen anything of it, and a kill between headers and trailers is a kill.
   */
  readonly committed: boolean;
}

/** Runs from its construction on. */
export class Attempt implements WireEvents {
  /** Settles when the attempt has ended, or, unless unary, when response headers came. Never rejects. */
  readonly decided: Promise<void>;
  /** The response messages of a call that may have many. */
  readonly messages = new ResponseMessages();
  /** The response message of a unary call that succeeded. */
  message: Uint8Array | undefined;
  header: IncomingFields = noFields;
  trailer: IncomingFields = noFields;
  /** Called when an attempt ends after it was decided. */
  whenEnded: ((end: AttemptEnd) => void) | undefined;
  #end: AttemptEnd | undefined;
  #answered = false;
  #torn = false;
  #decide: () => void = () => {};
  readonly #request: AttemptRequest;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #call: WireCall;

  constructor(wire: Wire, request: AttemptRequest) {
    this.#request = request;
    this.decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    this.#call = wire.start(request, this);
    this.messages.control(this.#call);
    const { timeoutMs } = request;
    if (timeoutMs !== undefined) this.#timer = setTimeout(() => this.#onTimeout(timeoutMs), timeoutMs);
  }

  /** Undefined while it runs. */
  get end(): AttemptEnd | undefined {
    return this.#end;
  }

  /** Where the request messages go. */
  get call(): WireCall {
    return this.#call;
  }

  /** Whether response headers have come. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Gives it up from this side. */
  stop(by: EndedBy, error: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#call.cancel();
    this.messages.abort(error);
    this.#finish(by, error);
  }

  onHeader(header: IncomingFields): void {
    clearTimeout(this.#timer);
    this.header = header;
    this.#answered = true;
    if (!this.#request.unary) this.#decide();
  }

  onMessage(message: Uint8Array): void {
    if (!this.#request.unary) this.messages.push(message);
    else if (this.message === undefined) this.message = message;
    else this.stop("wire", countError("more than one"));
  }

  onDrain(): void {
    this.#request.onDrain();
  }

  onEnd({ reach, error, trailer }: WireEnd): void {
    if (this.#end !== undefined) return;
    this.trailer = trailer;
    const missing = error === undefined && this.#request.unary && this.message === undefined;
    const final = missing ? countError("none") : error;
    this.messages.end(final);
    this.#torn = trailer === noFields && this.#request.unary && this.#request.idempotent;
    this.#finish(endedBy[reach], final);
  }

  #onTimeout(ms: number): void {
    this.stop("wire", wireError(Code.Unavailable, `no answer within the ${ms} ms that one attempt may take`));
  }

  #finish(by: EndedBy, error: ConnectError | undefined): void {
    clearTimeout(this.#timer);
    this.#end = { by, error, committed: this.#answered && !this.#torn };
    this.#decide();
    this.whenEnded?.(this.#end);
  }
}

/** The code that gRPC's status table gives for a wrong number of responses. */
function countError(got: string): ConnectError {
  return wireError(Code.Unimplemented, `expected exactly one response message, got ${got}`);
}

const endedBy: Readonly<Record<Reach, EndedBy>> = {
  connect: "connect",
  unsent: "unsent",
  refused: "refused",
  sent: "wire",
  "trailers-only": "wire",
  answered: "wire",
};
