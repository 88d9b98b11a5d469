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
import { create, type DescMethod, fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
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
  if (script.delayMs !== undefined) await sleep(script.delayMs);
  if (stream.destroyed) return;
  const messages = answersOf(method, script);
  if (messages.length === 0 && script.error !== undefined && script.reset !== true && script.header === undefined) {
    stream.respond({ ...grpcHead, ...trailerOf(contract, script) }, { endStream: true });
    return;
  }
  stream.respond({ ...grpcHead, ...script.header }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailerOf(contract, script)));
  for (const message of messages)
    await write(stream, frame(toBinary(method.output, fromJson(method.output, message, { registry: contract.types }))));
  if (script.endDelayMs !== undefined) await sleep(script.endDelayMs);
  if (script.reset === true) stream.close(2);
  else stream.end();
}

function answersOf(method: DescMethod, script: BackendScript): JsonValue[] {
  const { stream = [], repeat } = script;
  const repeated: JsonValue[] = repeat === undefined ? [] : Array<JsonValue>(repeat.times).fill(repeat.message);
  if (method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming") return [...stream, ...repeated];
  return script.error === undefined && script.reset !== true
    ? [script.message ?? toJson(method.output, create(method.output))]
    : [];
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
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      const message = fromBinary(method.input, rest.subarray(5, end));
      call.messages.push(toJson(method.input, message, { registry: types }) as JsonValue);
      rest = rest.subarray(end);
    }
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
