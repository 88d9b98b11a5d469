/** Refuses request messages whose values would take more memory than their bytes tell, before they are decoded. */
import type { DescMessage } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { invalidArgument } from "../errors.ts";
import { jsonWeight, maxWeight, mostPerByte, wireWeight } from "../net/weight.ts";

/** One of the router's handlers, by its path. */
type Handler = ConnectRouter["handlers"][number];
type Request = Parameters<Handler>[0];
type Compression = typeof compressionGzip;

/** What a request's media type says of its messages. */
interface Form {
  readonly json: boolean;
  /** Whether each message has a prefix of five bytes, or the body is the message. */
  readonly enveloped: boolean;
  /** gRPC and gRPC-Web, where bytes that are no message are INTERNAL; in Connect that would be an HTTP 500. */
  readonly grpc: boolean;
  /** The header that names the compression. */
  readonly encoding: string;
}

/** The compressions that requests may come in. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];

/**
 * Puts a scale before every handler of the router. A message above the weight limit is RESOURCE_EXHAUSTED, and over Connect one that is
 * not well formed is INVALID_ARGUMENT. Bodies flow on as they come; only the last part of a message waits until it is weighed.
 *
 * @param maxBytes the longest message; what is longer is left to Connect, which refuses it.
 */
export function weighRequests(router: ConnectRouter, maxBytes: number): void {
  const { handlers } = router;
  handlers.splice(0, handlers.length, ...handlers.map((handler) => weighed(handler, maxBytes)));
}

function weighed(handler: Handler, maxBytes: number): Handler {
  const { protocolNames, supportedContentType, allowedMethods, requestPath, service, method } = handler;
  const meta = { protocolNames, supportedContentType, allowedMethods, requestPath, service, method };
  return Object.assign((request: Request) => {
    const form = formOf(request.header.get("content-type") ?? "");
    if (form === undefined || !isBytes(request.body)) return handler(request);
    const encoding = request.header.get(form.encoding);
    const scale: Scale = { form, maxBytes, type: method.input, compression: compressions.find(({ name }) => name === encoding) };
    const body = form.enveloped ? weighEnvelopes(request.body, scale) : weighBody(request.body, scale);
    return handler({ ...request, body });
  }, meta);
}

interface Scale {
  readonly form: Form;
  readonly type: DescMessage;
  readonly maxBytes: number;
  readonly compression: Compression | undefined;
}

function formOf(contentType: string): Form | undefined {
  const match = /^application\/(?:(grpc(?:-web)?)(?:\+(proto|json))?|(connect\+)?(proto|json))\s*(?:;|$)/i.exec(contentType);
  if (match === null) return undefined;
  const [, grpc, grpcCodec, stream, codec] = match;
  const json = (grpcCodec ?? codec ?? "").toLowerCase() === "json";
  if (grpc !== undefined) return { json, enveloped: true, grpc: true, encoding: "grpc-encoding" };
  if (stream !== undefined) return { json, enveloped: true, grpc: false, encoding: "connect-content-encoding" };
  return { json, enveloped: false, grpc: false, encoding: "content-encoding" };
}

function isBytes(body: Request["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function* weighBody(body: AsyncIterable<Uint8Array>, scale: Scale): AsyncGenerator<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length <= scale.maxBytes) parts.push(part);
    yield part;
  }
  if (length <= scale.maxBytes) await weigh(parts, scale.compression, scale);
}

async function* weighEnvelopes(body: AsyncIterable<Uint8Array>, scale: Scale): AsyncGenerator<Uint8Array> {
  const prefix = Buffer.alloc(5);
  let [filled, missing] = [0, 0];
  /** The parts of a message that must be weighed. */
  let parts: Uint8Array[] | undefined;
  for await (const part of body) {
    let at = 0;
    while (at < part.length) {
      if (filled < prefix.length) {
        const taken = Math.min(prefix.length - filled, part.length - at);
        prefix.set(part.subarray(at, at + taken), filled);
        [filled, at] = [filled + taken, at + taken];
        if (filled < prefix.length) break;
        missing = prefix.readUInt32BE(1);
        parts = mustWeigh(prefix.readUInt8(0), missing, scale) ? [] : undefined;
      }
      const taken = Math.min(missing, part.length - at);
      parts?.push(part.subarray(at, at + taken));
      [missing, at] = [missing - taken, at + taken];
      if (missing > 0) break;
      if (parts !== undefined) await weigh(parts, isCompressed(prefix.readUInt8(0)) ? scale.compression : undefined, scale);
      [filled, parts] = [0, undefined];
    }
    yield part;
  }
}

const isCompressed = (flags: number): boolean => (flags & 1) === 1;

/** Short messages cannot weigh too much; over Connect they are looked at all the same, for what is no message. */
function mustWeigh(flags: number, length: number, { form, maxBytes, compression }: Scale): boolean {
  if (length > maxBytes) return false;
  if (isCompressed(flags)) return compression !== undefined;
  return !form.grpc || length * mostPerByte > maxWeight;
}

/** @throws ConnectError RESOURCE_EXHAUSTED, or INVALID_ARGUMENT for what is not well formed in Connect. */
async function weigh(parts: readonly Uint8Array[], compression: Compression | undefined, { form, type, maxBytes }: Scale) {
  const [first] = parts;
  const sent = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
  let weight: number;
  try {
    const bytes = compression === undefined || sent.length === 0 ? sent : await compression.decompress(sent, maxBytes);
    weight = form.json ? jsonWeight(bytes) : wireWeight(type, bytes);
  } catch (error) {
    if (error instanceof ConnectError && error.code !== Code.Internal) throw error;
    // Whoever decodes it finds the same mistake, and says it in the words of its protocol.
    if (form.grpc) return;
    const why = error instanceof Error ? error.message : String(error);
    throw invalidArgument([{ field: "", description: `the body is no message of type ${type.typeName}: ${why}` }]);
  }
  refuseAbove(weight);
}

/**
 * The scale for a gRPC message that is at hand, decompressed.
 *
 * @throws ConnectError RESOURCE_EXHAUSTED. What is no message passes: whoever decodes it says so.
 */
export function refuseHeavy(type: DescMessage, bytes: Uint8Array): void {
  if (bytes.length * mostPerByte <= maxWeight) return;
  let weight = 0;
  try {
    weight = wireWeight(type, bytes);
  } catch {
    return;
  }
  refuseAbove(weight);
}

function refuseAbove(weight: number): void {
  if (weight <= maxWeight) return;
  throw new ConnectError("the values of the message take more memory than a message may; send fewer", Code.ResourceExhausted);
}
