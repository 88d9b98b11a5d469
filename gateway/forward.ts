/** Step 5: the call itself. The deadline is fixed here, once; the context is made here; the client's leaving cancels it. */
import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { ConnectError, Transport } from "@connectrpc/connect";
import { keepEncoded } from "#mesh/client/encoded.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { canceled, deadlineExceeded, internal, unimplemented } from "#mesh/errors.ts";
import type { MethodConfig } from "#mesh/policy/service-config.ts";
import { isLarge, writingBinary } from "./binary-slices.ts";
import { clientTimeoutMs } from "./deadline.ts";
import type { Exchange } from "./exchange.ts";
import { requestMetadata } from "./metadata.ts";
import { inSlices } from "./slices.ts";

/** What the call goes through. */
export interface ForwardOptions {
  readonly transport: Transport;
  /** True when no verifier stands in the gateway, so that the backend itself judges the Authorization header. */
  readonly passAuthorization: boolean;
  readonly clock: () => number;
  /** The metadata that the headers become. Default: `requestMetadata`, as REST has it. */
  readonly metadata?: typeof requestMetadata;
}

/** What a backend answered: a message, or messages as they come. */
export type Answer =
  | { readonly kind: "unary"; readonly message: Message; readonly header: Headers; readonly trailer: Headers }
  | {
      readonly kind: "stream";
      readonly messages: AsyncIterable<Message>;
      readonly header: Headers;
      /** Empty until the messages have been read to their end. */
      readonly trailer: Headers;
    };

/**
 * The life of one call, from before its request is decoded to after its answer is written. Dispose it at the end: that
 * cancels what is still under way.
 */
export interface Call extends Disposable {
  /** Aborts when the client goes away or the deadline passes. */
  readonly signal: AbortSignal;
  /** Runs work in the call's context, in nobody's name: what must be asked before the principal is known. */
  run<T>(work: () => T): T;
  /**
   * Sends the request: a message, or for methods that take a stream messages, which are read as fast as the backend takes them.
   *
   * @throws what the backend answered, DEADLINE_EXCEEDED, CANCELLED; what reading the messages throws.
   */
  forward(input: Message | AsyncIterable<Message>, principal: Principal | undefined): Promise<Answer>;
  /** Ends the call from this side. */
  cancel(error: ConnectError): void;
  /** What an error is once it is known whether the client or the deadline ended the call. */
  explain(error: unknown): unknown;
}

/** How long a unary call may take when neither the client nor the service config says. */
const defaultTimeoutMs = 60_000;

/**
 * Begins a call: its deadline is the least of the client's headers and the method's service config.
 *
 * @throws INVALID_ARGUMENT for a timeout header that is none.
 */
export function beginCall(exchange: Exchange, method: DescMethod, config: MethodConfig, options: ForwardOptions): Call {
  const unary = method.methodKind === "unary";
  const timeoutMs = Math.min(
    clientTimeoutMs(exchange.request.headers),
    config.timeoutMs ?? (unary ? defaultTimeoutMs : Number.POSITIVE_INFINITY),
  );
  const deadline = exchange.receivedAt + timeoutMs;
  const controller = new AbortController();
  const onClose = () => controller.abort(canceled("the client went away"));
  exchange.response.once("close", onClose);
  // setTimeout takes 31 bits; a deadline beyond them is as good as none.
  const timer = timeoutMs < 2 ** 31 ? setTimeout(() => controller.abort(deadlineExceeded()), Math.max(0, timeoutMs)) : undefined;
  const contextFor = (principal: Principal | undefined) => contextOf(exchange, deadline, controller.signal, principal, config);
  return {
    signal: controller.signal,
    run: (work) => runWithContext(contextFor(undefined), work),
    async forward(input, principal) {
      const remaining = deadline - options.clock();
      if (remaining <= 0) throw deadlineExceeded();
      const header = (options.metadata ?? requestMetadata)(exchange.request.headers, options.passAuthorization);
      const send = senders[method.methodKind];
      const timeout = Number.isFinite(remaining) ? Math.max(1, Math.ceil(remaining)) : undefined;
      return runWithContext(contextFor(principal), () =>
        send(options.transport, method, controller.signal, timeout, header, input),
      );
    },
    cancel: (error) => controller.abort(error),
    explain: (error) => (controller.signal.aborted ? controller.signal.reason : error),
    [Symbol.dispose]() {
      clearTimeout(timer);
      exchange.response.off("close", onClose);
      controller.abort(canceled());
    },
  };
}

function contextOf(
  exchange: Exchange,
  deadline: number,
  signal: AbortSignal,
  principal: Principal | undefined,
  config: MethodConfig,
): CallContext {
  return {
    deadline,
    signal,
    principal,
    caller: undefined,
    trace: exchange.trace,
    correlationId: exchange.correlationId,
    criticality: config.criticality ?? "CRITICAL",
    client: exchange.client,
  };
}

type Send = (
  transport: Transport,
  method: DescMethod,
  signal: AbortSignal,
  timeoutMs: number | undefined,
  header: Headers,
  input: Message | AsyncIterable<Message>,
) => Promise<Answer>;

const sendUnary: Send = async (transport, method, signal, timeoutMs, header, input) => {
  const message = await encodedInSlices(method, await single(input));
  const answer = await transport.unary(method as DescMethodUnary, signal, timeoutMs, header, message);
  return { kind: "unary", message: answer.message, header: answer.header, trailer: answer.trailer };
};

const sendStream: Send = async (transport, method, signal, timeoutMs, header, input) => {
  const messages =
    method.methodKind === "server_streaming" ? only(await encodedInSlices(method, await single(input))) : many(input);
  const answer = await transport.stream(method as DescMethodStreaming, signal, timeoutMs, header, messages);
  return {
    kind: "stream",
    messages: answer.message,
    header: answer.header,
    get trailer() {
      return answer.trailer;
    },
  };
};

/** The answer is one message, as a unary one; it may come before the request has been read to its end. */
const sendMany: Send = async (...call) => {
  const answer = await sendStream(...call);
  if (answer.kind === "unary") return answer;
  const { messages, header } = answer;
  const found = await Array.fromAsync(limited(messages, 2));
  const [message] = found;
  if (message === undefined || found.length > 1) {
    throw internal(`expected one response message, got ${found.length === 0 ? "none" : "more"}`);
  }
  return { kind: "unary", message, header, trailer: answer.trailer };
};

const senders: Readonly<Record<DescMethod["methodKind"], Send>> = {
  unary: sendUnary,
  server_streaming: sendStream,
  client_streaming: sendMany,
  bidi_streaming: sendStream,
};

/** A large message is encoded here, in slices; the transport would do it at a stretch. */
export async function encodedInSlices(method: DescMethod, message: Message): Promise<Message> {
  if (message.$typeName === method.input.typeName && isLarge(message)) {
    keepEncoded(message, await inSlices(writingBinary(method.input, message)));
  }
  return message;
}

function many(input: Message | AsyncIterable<Message>): AsyncIterable<Message> {
  return isMany(input) ? input : only(input);
}

/** A stream of one item. */
export async function* only<T>(item: T): AsyncGenerator<T> {
  yield item;
}

/** What a method that takes one message is called with, when it comes as a stream. @throws UNIMPLEMENTED for none or more. */
async function single(input: Message | AsyncIterable<Message>): Promise<Message> {
  if (!isMany(input)) return input;
  const found = await Array.fromAsync(limited(input, 2));
  const [message] = found;
  if (message !== undefined && found.length === 1) return message;
  // The code that gRPC has for a wrong number of messages.
  throw unimplemented(`expected exactly one request message, got ${message === undefined ? "none" : "more"}`);
}

export function isMany(input: Message | AsyncIterable<Message>): input is AsyncIterable<Message> {
  return Symbol.asyncIterator in input;
}

async function* limited<T>(items: AsyncIterable<T>, most: number): AsyncGenerator<T> {
  let count = 0;
  for await (const item of items) {
    yield item;
    if (++count === most) return;
  }
}
