/**
 * The backend behind the gateway under test: a gRPC server that notes every call and answers by a script.
 *
 * It is written on HTTP/2 itself, so that it can also do what gRPC libraries do not let a server do: codes that do not exist,
 * calls that break off without a status, metadata as it is.
 */
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  create,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import type { Contract } from "./contract.ts";
import type { BackendScript } from "./vector.ts";

/** A call as the backend got it. */
export interface RecordedCall {
  /** `Service/Method`, without the package. */
  readonly rpc: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The request messages in ProtoJSON, as they come. */
  readonly messages: JsonValue[];
  /** performance.now() when the call was cancelled; undefined while it was not. */
  cancelledAt: number | undefined;
}

/** A backend that listens. */
export interface RecordingBackend extends AsyncDisposable {
  readonly port: number;
  /** The calls since the last `play`. */
  readonly calls: readonly RecordedCall[];
  /** Forgets the calls and answers all that come by this script; one without it gets the empty message. */
  play(script: BackendScript | undefined): void;
}

/** Listens on `port` (0: any) of the loopback, for every service of the contract. */
export async function startBackend(contract: Contract, port = 0): Promise<RecordingBackend> {
  let script: BackendScript = {};
  let calls: RecordedCall[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({ settings: { maxHeaderListSize: 2 ** 20 } });
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => {});
  });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const method = methodAt(contract, headers[":path"] ?? "");
    // Whatever breaks here shows in what the client got.
    stream.on("error", () => {});
    if (method === undefined) {
      stream.respond({ ...grpcHead, "grpc-status": "12" }, { endStream: true });
      return;
    }
    const call: RecordedCall = { rpc: rpcOf(method), metadata: metadataOf(headers), messages: [], cancelledAt: undefined };
    calls.push(call);
    stream.on("close", () => {
      if (stream.rstCode !== 0) call.cancelledAt = performance.now();
    });
    void answer(contract, stream, method, call, script).catch(() => stream.close(2));
  });
  await listen(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    get calls() {
      return calls;
    },
    play(next) {
      script = next ?? {};
      calls = [];
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const grpcHead = { ":status": 200, "content-type": "application/grpc+proto" };

function listen(server: Http2Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}

function methodAt({ types, services }: Contract, path: string): DescMethod | undefined {
  const [, service = "", name] = path.split("/");
  return services.includes(service) ? types.getService(service)?.methods.find((method) => method.name === name) : undefined;
}

function rpcOf(method: DescMethod): string {
  return `${method.parent.name}/${method.name}`;
}

function metadataOf(headers: IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).filter(([name, value]) => !name.startsWith(":") && value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]));
}

async function answer(
  contract: Contract,
  stream: ServerHttp2Stream,
  method: DescMethod,
  call: RecordedCall,
  script: BackendScript,
): Promise<void> {
  await readMessages(contract, stream, method, call);
  if (script.early === true) stream.respond({ ...grpcHead, ...script.header }, { waitForTrailers: true });
  if (script.delayMs !== undefined) await sleep(script.delayMs);
  if (stream.destroyed) return;
  if (script.http !== undefined) {
    stream.respond({ ":status": script.http.status, ...script.http.headers });
    stream.end(script.http.body ?? "");
    return;
  }
  const messages = answersOf(contract, method, script);
  if (
    messages.length === 0 &&
    script.error !== undefined &&
    script.reset !== true &&
    !stream.headersSent &&
    script.header === undefined
  ) {
    stream.respond({ ...grpcHead, ...trailerOf(contract, script) }, { endStream: true });
    return;
  }
  if (!stream.headersSent) stream.respond({ ...grpcHead, ...script.header }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailerOf(contract, script)));
  for (const message of messages) await write(stream, frame(message));
  if (script.endDelayMs !== undefined) await sleep(script.endDelayMs);
  if (script.reset === true) stream.close(2);
  else stream.end();
}

/** The messages of the answer as bytes. */
function answersOf({ types }: Contract, method: DescMethod, script: BackendScript): Uint8Array[] {
  const { stream, repeat, message = {}, base64 } = script;
  const binary = (json: JsonValue) => toBinary(method.output, fromJson(method.output, json, { registry: types }));
  if (stream !== undefined || repeat !== undefined) {
    const repeated = repeat === undefined ? [] : Array<Uint8Array>(repeat.times).fill(binary(repeat.message));
    return [...(stream ?? []).map(binary), ...repeated];
  }
  const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  if (streams || script.error !== undefined || script.reset === true) return [];
  return [base64 === undefined ? binary(message) : Buffer.from(base64, "base64")];
}

function trailerOf(contract: Contract, { error, trailer }: BackendScript): Record<string, string> {
  if (error === undefined) return { ...trailer, "grpc-status": "0" };
  const { code, message = "", details = [] } = error;
  const head = { ...trailer, "grpc-status": String(code), "grpc-message": encodeURIComponent(message) };
  if (details.length === 0) return head;
  const status = create(StatusSchema, { code, message, details: details.map((detail) => detailOf(contract, detail)) });
  return { ...head, "grpc-status-details-bin": Buffer.from(toBinary(StatusSchema, status)).toString("base64") };
}

type Detail = NonNullable<NonNullable<BackendScript["error"]>["details"]>[number];

function detailOf({ types }: Contract, detail: Detail) {
  if (!("@type" in detail)) {
    const { type, base64 } = detail as { type: string; base64: string };
    return create(AnySchema, { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(base64, "base64") });
  }
  return fromJson(AnySchema, detail, { registry: types });
}

/** Reads the request stream to its end, noting each message. */
async function readMessages(
  { types }: Contract,
  stream: ServerHttp2Stream,
  method: DescMethod,
  call: RecordedCall,
): Promise<void> {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = 5;
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    // Joined only when a frame is whole: a message of megabytes comes in thousands of pieces.
    while (size >= wanted) {
      let rest = Buffer.concat(chunks);
      const end = 5 + rest.readUInt32BE(1);
      if (rest.length >= end) {
        call.messages.push(readMessage(types, method, rest.subarray(5, end)));
        rest = rest.subarray(end);
      }
      chunks = [rest];
      size = rest.length;
      wanted = size >= 5 ? 5 + rest.readUInt32BE(1) : 5;
    }
  }
}

/** The message in ProtoJSON; what has none is noted by its bytes, so that the vector shows it. */
function readMessage(types: FileRegistry, { input }: DescMethod, bytes: Uint8Array): JsonValue {
  try {
    return toJson(input, fromBinary(input, bytes), { registry: types }) as JsonValue;
  } catch (error) {
    return { noMessage: String(error), base64: Buffer.from(bytes).toString("base64") };
  }
}

function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function write(stream: ServerHttp2Stream, bytes: Buffer): Promise<void> | undefined {
  if (stream.destroyed || stream.write(bytes)) return undefined;
  return new Promise((resolve) => {
    const go = () => {
      stream.off("drain", go).off("close", go);
      resolve();
    };
    stream.on("drain", go).on("close", go);
  });
}
