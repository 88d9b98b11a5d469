/**
 * The direct path of unary gRPC over HTTP/2, which most calls of a mesh are: from the stream to the layers and back. What a call is stays
 * Connect's (its context, interceptors, codecs and status), and so do all other calls; only the pipeline in between is left out.
 *
 * That pipeline makes some ten generator functions for each call. V8 gives each function that is a generator a map of its own, in old space,
 * which keeps alive all that the function closes over until the next full collection: 31 KB for a call of nothing. The pauses for those
 * collections were the slowest percent of all calls.
 */
import { constants, type Http2ServerRequest, type Http2ServerResponse, type OutgoingHttpHeaders } from "node:http2";
import {
  type Code,
  ConnectError,
  type ContextValues,
  createHandlerContext,
  createServiceImplSpec,
  type HandlerContext,
  type MethodImplSpec,
} from "@connectrpc/connect";
import {
  compressionNegotiate,
  createMethodSerializationLookup,
  encodeEnvelope,
  envelopeCompress,
  envelopeDecompress,
  invokeUnaryImplementation,
  type UniversalHandlerOptions,
  validateUniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import { contentTypeProto, grpcStatusOk, parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { FastifyReply, FastifyRequest } from "fastify";
import { canceled, from } from "../errors.ts";
import { headersOf } from "../net/fields.ts";
import { codeOfReset, nameOfReset, wireError } from "../net/status.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Implementation } from "./implementation.ts";
import { respondTrailersOnly } from "./trailers-only.ts";
import { readUnaryFrame } from "./unary-frame.ts";
import { refuseHeavy } from "./weigh-requests.ts";

/** What is served, and how: the same as Connect is given. */
export interface DirectUnaryOptions extends Partial<UniversalHandlerOptions> {
  readonly served: readonly Implementation[];
  readonly contextValues: (request: FastifyRequest) => ContextValues;
  readonly log: Logger;
}

type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

/** A method with what is known of it at boot. */
interface Direct {
  readonly spec: UnarySpec;
  readonly parse: (data: Uint8Array) => Parameters<UnarySpec["impl"]>[0];
  readonly serialize: (message: Parameters<UnarySpec["impl"]>[0]) => Uint8Array;
}

/** A Fastify hook (onRequest) that takes unary calls of `application/grpc` over HTTP/2, and lets all else pass. */
export function directUnary(o: DirectUnaryOptions) {
  const options = validateUniversalHandlerOptions(o);
  const methods = new Map<string, Direct>();
  for (const { service, methods: handlers } of o.served) {
    for (const spec of Object.values(createServiceImplSpec(service, handlers).methods)) {
      if (spec.kind !== "unary") continue;
      const codec = createMethodSerializationLookup(spec.method, options.binaryOptions, undefined, options);
      const direct = { spec, parse: codec.getI(true).parse, serialize: codec.getO(true).serialize };
      methods.set(`/${service.typeName}/${spec.method.name}`, direct as Direct);
    }
  }
  return (request: FastifyRequest, reply: FastifyReply, next: () => void): void => {
    const raw = request.raw as unknown as Http2ServerRequest;
    const contentType = raw.headers["content-type"];
    const isDirect = contentType === "application/grpc" || contentType === "application/grpc+proto";
    const method = isDirect && raw.method === "POST" && raw.stream !== undefined ? methods.get(raw.url) : undefined;
    if (method === undefined) {
      next();
      return;
    }
    reply.hijack();
    const response = reply.raw as unknown as Http2ServerResponse;
    serve(method, options, raw, response, o.contextValues(request)).catch((error: unknown) => {
      // Such as a header of the handler's that HTTP/2 does not allow.
      o.log.error({ err: error, method: raw.url.slice(1) }, "a call could not be answered");
      response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
  };
}

/** Whatever comes up is the call's status. @throws what HTTP/2 says of an answer that it cannot send. */
async function serve(
  { spec, parse, serialize }: Direct,
  options: UniversalHandlerOptions,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  contextValues: ContextValues,
): Promise<void> {
  const { stream } = response;
  const left = new AbortController();
  const onClose = () => left.abort(resetReason(stream.rstCode));
  stream.once("close", onClose);
  const header = headersOf(request.headers);
  const timeout = parseTimeout(header.get("grpc-timeout"), options.maxTimeoutMs);
  const context = createHandlerContext({
    ...spec,
    service: spec.method.parent,
    requestMethod: request.method,
    protocolName: "grpc",
    url: `http://${request.authority}${request.url}`,
    ...(timeout.timeoutMs !== undefined && { timeoutMs: timeout.timeoutMs }),
    ...(options.shutdownSignal !== undefined && { shutdownSignal: options.shutdownSignal }),
    requestSignal: left.signal,
    requestHeader: header,
    responseHeader: { "content-type": contentTypeProto },
    responseTrailer: { "grpc-status": grpcStatusOk },
    contextValues,
  });
  let outcome: Uint8Array | ConnectError;
  try {
    const compression = negotiate(options, context);
    await options.requestGate?.(context);
    if (compression.error !== undefined) throw compression.error;
    if (timeout.error !== undefined) throw timeout.error;
    const sent = await readUnaryFrame(stream, options.readMaxBytes, context.signal);
    const { data } = await envelopeDecompress(sent, compression.request, options.readMaxBytes);
    refuseHeavy(spec.method.input, data);
    const message = await invokeUnaryImplementation(spec, context, parse(data), options.interceptors);
    const answer = { flags: 0, data: serialize(message) };
    const frame = await envelopeCompress(answer, compression.response, options.compressMinBytes);
    outcome = encodeEnvelope(frame.flags, frame.data);
  } catch (thrown) {
    outcome = from(thrown);
  }
  stream.off("close", onClose);
  context.abort(outcome instanceof ConnectError ? outcome : over);
  if (stream.destroyed || stream.closed) return;
  if (outcome instanceof ConnectError) respondError(response, context, outcome);
  else respond(response, context, outcome);
}

/** What the signal of a call says once its answer is ready. One for all, since each new error takes a look at the stack. */
const over = canceled("the call is over");

function negotiate({ acceptCompression }: UniversalHandlerOptions, { requestHeader, responseHeader }: HandlerContext) {
  const accepted = "grpc-accept-encoding";
  const encoding = requestHeader.get("grpc-encoding");
  const compression = compressionNegotiate(acceptCompression, encoding, requestHeader.get(accepted), accepted);
  if (compression.response !== null) responseHeader.set("grpc-encoding", compression.response.name);
  return compression;
}

function respond(response: Http2ServerResponse, { responseHeader, responseTrailer }: HandlerContext, frame: Uint8Array): void {
  const { stream } = response;
  // Node's response sends these when the stream asks for them, after its last byte.
  response.addTrailers(fields(responseTrailer));
  stream.respond({ ":status": 200, ...fields(responseHeader) }, { waitForTrailers: true });
  stream.end(frame);
}

function respondError(response: Http2ServerResponse, context: HandlerContext, error: ConnectError): void {
  const trailers = setTrailerStatus(context.responseTrailer, error);
  respondTrailersOnly(response, 200, fields(context.responseHeader), fields(trailers));
}

/** Why the caller's end of the stream closed before the answer was ready. */
function resetReason(rstCode: number | undefined): ConnectError {
  if (rstCode === undefined || rstCode === 0) return canceled();
  const code: Code = codeOfReset(rstCode);
  return wireError(code, `the caller reset the stream with ${nameOfReset(rstCode)}`);
}

function fields(headers: Headers): OutgoingHttpHeaders {
  const found: OutgoingHttpHeaders = {};
  for (const [name, value] of headers) {
    const before = found[name];
    // Headers join what may be joined; set-cookie comes once for each.
    found[name] = before === undefined ? value : [before, value].flat().map(String);
  }
  return found;
}
