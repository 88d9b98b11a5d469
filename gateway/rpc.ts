/** A call over gRPC, gRPC-Web or Connect, through the same steps as one over REST. */
import type { DescMethod, Message, Registry } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { from, unimplemented } from "#mesh/errors.ts";
import type { Identity } from "./authenticate.ts";
import type { DecodeOptions } from "./decode.ts";
import type { Exchange } from "./exchange.ts";
import type { Call } from "./forward.ts";
import type { GatewayStats } from "./gateway-stats.ts";
import type { Limits } from "./limits.ts";
import { rpcCodec } from "./rpc-codec.ts";
import { endEnveloped, envelopedRequest, writeEnveloped } from "./rpc-enveloped.ts";
import type { Rpc, RpcProtocol, RpcRequest } from "./rpc-protocol.ts";
import { failUnary, readUnary, writeUnary } from "./rpc-unary.ts";

/** What a call goes through. */
export interface RpcSteps {
  /** Begins a call of the method, whose messages may be raw. */
  begin(method: DescMethod): Call;
  /** Finds out who calls, and whether they may. */
  admit(call: Call, rpc: Rpc): Promise<Identity>;
  /** Counts the calls to backends. */
  readonly stats: Pick<GatewayStats, "call">;
  readonly limits: Limits;
  readonly reading: DecodeOptions;
  /** The types of messages and error details. */
  readonly types: Registry;
}

/** Answers the call, errors in the words of its protocol. Returns the error, for the log. */
export async function serveRpc(exchange: Exchange, { rpc, protocol }: RpcRequest, steps: RpcSteps): Promise<unknown> {
  try {
    if (rpc === undefined) throw unimplemented(`unknown method ${exchange.path.slice(0, 200)}`);
    exchange.rpc = exchange.path.slice(1);
    await answer(exchange, rpc, protocol, steps);
    return undefined;
  } catch (thrown) {
    const error: ConnectError = from(thrown);
    if (protocol.enveloped) endEnveloped(exchange, protocol, new Headers(), error, steps.types);
    else if (!exchange.response.headersSent) await failUnary(exchange, error, steps.types);
    return error;
  }
}

async function answer(exchange: Exchange, rpc: Rpc, protocol: RpcProtocol, steps: RpcSteps): Promise<void> {
  const { limits, types } = steps;
  const codec = rpcCodec(protocol.codec, rpc.method, steps.reading, types);
  using call = steps.begin(codec.method);
  try {
    const who = await steps.admit(call, rpc);
    const principal = who.own ? undefined : who.principal;
    const forward = (input: Message | AsyncIterable<Message>) =>
      steps.stats.call(rpc.method.parent.typeName, () => call.forward(input, principal));
    if (!protocol.enveloped) {
      const got = await forward(await readUnary(exchange, codec, limits));
      await writeUnary(exchange, protocol, codec, got);
      return;
    }
    const got = await forward(envelopedRequest(exchange, protocol, codec, limits));
    await writeEnveloped(exchange, protocol, codec, got);
    endEnveloped(exchange, protocol, got.trailer, undefined, types);
  } catch (error) {
    throw call.explain(error);
  }
}
