/** Step 5: the call itself. The deadline is fixed here, once; the context is made here; the client's leaving cancels it. */
import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { canceled, deadlineExceeded, unimplemented } from "#mesh/errors.ts";
import type { MethodConfig } from "#mesh/policy/service-config.ts";
import { clientTimeoutMs } from "./deadline.ts";
import type { Exchange } from "./exchange.ts";
import { requestMetadata } from "./metadata.ts";

/** What the call goes through. */
export interface ForwardOptions {
  readonly transport: Transport;
  /** True when no verifier stands in the gateway, so that the backend itself judges the Authorization header. */
  readonly passAuthorization: boolean;
  readonly clock: () => number;
}

/** What a backend answered: a message, or messages as they come. */
export type Answer =
  | { readonly kind: "unary"; readonly message: Message; readonly header: Headers; readonly trailer: Headers }
  | { readonly kind: "stream"; readonly messages: AsyncIterable<Message>; readonly header: Headers };

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
   * Sends the request.
   *
   * @throws what the backend answered, DEADLINE_EXCEEDED, CANCELLED; UNIMPLEMENTED for methods that take a stream.
   */
  forward(message: Message, principal: Principal | undefined): Promise<Answer>;
  /** What an error is once it is known whether the client or the deadline ended the call. */
  explain(error: unknown): unknown;
}

/** How long a unary call may take when neither the client nor the service config says. */
const defaultTimeoutMs = 60_000;

/**
 * Begins a call: its deadline is the least of the client's headers and the method's service config.
 *
 * @throws INVALID_ARGUMENT for a timeout header that is none; UNIMPLEMENTED for client streams.
 */
export function beginCall(exchange: Exchange, method: DescMethod, config: MethodConfig, options: ForwardOptions): Call {
  const unary = method.methodKind === "unary";
  if (!unary && method.methodKind !== "server_streaming") {
    throw unimplemented(
      `${method.parent.typeName}.${method.name} takes a stream of requests, which REST does not carry yet; use gRPC`,
    );
  }
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
    async forward(message, principal) {
      const remaining = deadline - options.clock();
      if (remaining <= 0) throw deadlineExceeded();
      const header = requestMetadata(exchange.request.headers, options.passAuthorization);
      const send = unary ? sendUnary : sendStream;
      const timeout = Number.isFinite(remaining) ? Math.max(1, Math.ceil(remaining)) : undefined;
      return runWithContext(contextFor(principal), () =>
        send(options.transport, method, controller.signal, timeout, header, message),
      );
    },
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
  message: Message,
) => Promise<Answer>;

const sendUnary: Send = async (transport, method, signal, timeoutMs, header, message) => {
  const answer = await transport.unary(method as DescMethodUnary, signal, timeoutMs, header, message);
  return { kind: "unary", message: answer.message, header: answer.header, trailer: answer.trailer };
};

const sendStream: Send = async (transport, method, signal, timeoutMs, header, message) => {
  const answer = await transport.stream(method as DescMethodStreaming, signal, timeoutMs, header, only(message));
  return { kind: "stream", messages: answer.message, header: answer.header };
};

async function* only<T>(item: T): AsyncGenerator<T> {
  yield item;
}
