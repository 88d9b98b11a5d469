/** For tests: a contract made at run time, servers of it on @grpc/grpc-js, and clients over them. */
import assert from "node:assert/strict";
import {
  create,
  createFileRegistry,
  type DescMethod,
  type DescMethodStreaming,
  type DescService,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, type MethodDescriptorProto, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { createNoopMeter, type Meter, ProxyTracerProvider } from "@opentelemetry/api";
import { pino } from "pino";
import type { CallContext } from "../context.ts";
import { defaultServiceConfig, methodConfigOf, parseServiceConfig } from "../policy/service-config.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMeshClient, type MeshClient, type MeshClientOptions } from "./client.ts";
import { fakeRegistry } from "./registry.fixture.ts";

/** echo.v1.Echo: Get (NO_SIDE_EFFECTS), Put, List (server streaming), Collect (client streaming), Chat (bidi), all on StringValue. */
export const echo: DescService = echoContract();

/** A method of echo.v1.Echo. */
export function methodOf(name: string): DescMethod {
  const method = echo.methods.find((each) => each.name === name);
  if (method === undefined) throw new Error(`echo.v1.Echo has no ${name}`);
  return method;
}

function echoContract(): DescService {
  const text = ".google.protobuf.StringValue";
  const method = (name: string, clientStreaming: boolean, serverStreaming: boolean, idempotencyLevel = 0) =>
    ({
      name,
      inputType: text,
      outputType: text,
      clientStreaming,
      serverStreaming,
      options: { idempotencyLevel },
    }) as unknown as MethodDescriptorProto;
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, {
      file: [
        {
          name: "google/protobuf/wrappers.proto",
          package: "google.protobuf",
          syntax: "proto3",
          messageType: [{ name: "StringValue", field: [{ name: "value", number: 1, type: 9, label: 1, jsonName: "value" }] }],
        },
        {
          name: "echo/v1/echo.proto",
          package: "echo.v1",
          syntax: "proto3",
          dependency: ["google/protobuf/wrappers.proto"],
          service: [
            {
              name: "Echo",
              method: [
                method("Get", false, false, 1),
                method("Put", false, false),
                method("List", false, true, 1),
                method("Collect", true, false),
                method("Chat", true, true),
              ],
            },
          ],
        },
      ],
    }),
  );
  const service = registry.getService("echo.v1.Echo");
  if (service === undefined) throw new Error("the echo contract did not build");
  return service;
}

/** A handler of @grpc/grpc-js over plain strings. */
export interface EchoHandlers {
  unary?(value: string, call: grpc.ServerUnaryCall<string, string>, reply: grpc.sendUnaryData<string>): void;
  list?(call: grpc.ServerWritableStream<string, string>): void;
  collect?(call: grpc.ServerReadableStream<string, string>, reply: grpc.sendUnaryData<string>): void;
  chat?(call: grpc.ServerDuplexStream<string, string>): void;
}

/** A grpc-js server of echo.v1.Echo. */
export interface EchoServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Requests of Get and Put that have come, with their metadata. */
  readonly calls: grpc.Metadata[];
  /** Milliseconds that each of these calls had left when it came; Infinity for no deadline. */
  readonly timeouts: number[];
  kill(): void;
}

/** Starts one; by default Get and Put answer `name:value`. */
export async function echoServer(name: string, handlers: EchoHandlers = {}, port = 0): Promise<EchoServer> {
  const server = new grpc.Server();
  const calls: grpc.Metadata[] = [];
  const timeouts: number[] = [];
  const unary = (call: grpc.ServerUnaryCall<string, string>, reply: grpc.sendUnaryData<string>) => {
    calls.push(call.metadata);
    timeouts.push(Number(call.getDeadline()) - Date.now());
    if (handlers.unary === undefined) reply(null, `${name}:${call.request}`);
    else handlers.unary(call.request, call, reply);
  };
  const definition = (method: string, requestStream: boolean, responseStream: boolean) => ({
    path: `/echo.v1.Echo/${method}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  });
  server.addService(
    {
      Get: definition("Get", false, false),
      Put: definition("Put", false, false),
      List: definition("List", false, true),
      Collect: definition("Collect", true, false),
      Chat: definition("Chat", true, true),
    },
    {
      Get: unary,
      Put: unary,
      List: handlers.list ?? ((call: grpc.ServerWritableStream<string, string>) => call.end()),
      Collect: handlers.collect ?? ((_call: unknown, reply: grpc.sendUnaryData<string>) => reply(null, "")),
      Chat: handlers.chat ?? ((call: grpc.ServerDuplexStream<string, string>) => call.end()),
    } as unknown as grpc.UntypedServiceImplementation,
  );
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, actual) => {
      if (error === null) resolve(actual);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${bound}`,
    port: bound,
    calls,
    timeouts,
    kill: () => server.forceShutdown(),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

function encode(value: string): Buffer {
  return Buffer.from(toBinary(StringValueSchema, create(StringValueSchema, { value })));
}

function decode(bytes: Buffer): string {
  return fromBinary(StringValueSchema, bytes).value;
}

/** What a client is made with; everything has a default. */
export interface TestClientOptions extends Partial<Omit<MeshClientOptions, "serviceConfigs">> {
  /** The service config of every contract, as JSON. */
  readonly config?: unknown;
}

/** A mesh client in the name of a service `test`. */
export function testClient(options: TestClientOptions = {}): MeshClient {
  const { config: json, ...rest } = options;
  const config = json === undefined ? defaultServiceConfig : parseServiceConfig(json);
  return createMeshClient({
    service: "test",
    registry: fakeRegistry(),
    serviceConfigs: { methodConfig: (contract, method) => methodConfigOf(config, contract, method), serviceConfig: () => config },
    caller: { current: async () => "caller-token" },
    log: silentLog(),
    meter: createNoopMeter() as Meter,
    tracer: new ProxyTracerProvider().getTracer("test"),
    ...rest,
  });
}

/** A log whose lines end up in `lines`, when given. */
export function silentLog(lines?: Record<string, unknown>[]): Logger {
  if (lines === undefined) return pino({ level: "silent" });
  return pino({ level: "debug" }, { write: (line: string) => lines.push(JSON.parse(line)) });
}

/** One unary call of echo.v1.Echo. */
export async function ask(
  client: MeshClient,
  method: "Get" | "Put",
  value: string,
  options: { signal?: AbortSignal; timeoutMs?: number; headers?: Record<string, string> } = {},
): Promise<string> {
  const desc = methodOf(method) as DescMethod & { methodKind: "unary" };
  const init = { value } as never;
  const response = await client.transport.unary(desc, options.signal, options.timeoutMs, options.headers, init);
  return (response.message as unknown as { value: string }).value;
}

/** The ConnectError that a promise rejects with; anything else fails the test. */
export async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ConnectError, `expected a ConnectError, got ${String(error)}`);
  return error;
}

/** The trace of callContext(). */
export const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 1, state: "a=b" };

/** A context as a server makes one: sheddable, by curl from 192.0.2.7, with no deadline. */
export function callContext(changes: Partial<CallContext> = {}): CallContext {
  return {
    deadline: Number.POSITIVE_INFINITY,
    signal: new AbortController().signal,
    principal: undefined,
    caller: undefined,
    trace,
    correlationId: "corr-1",
    criticality: "SHEDDABLE",
    client: { address: "192.0.2.7", userAgent: "curl/8" },
    ...changes,
  };
}

/** The code that a promise rejects with; undefined when it does not. */
export async function codeOf(promise: Promise<unknown>): Promise<Code | undefined> {
  return promise.then(
    () => undefined,
    (error) => (error instanceof ConnectError ? error.code : Code.Unknown),
  );
}

/** google.protobuf.StringValue as the echo contract has it. */
export interface Text {
  readonly value: string;
}

/** Request messages of a stream. */
export async function* texts(...values: readonly string[]): AsyncIterable<never> {
  for (const value of values) yield { value } as never;
}

/** Opens a stream of echo.v1.Echo. */
export function openStream(client: MeshClient, method: string, input: AsyncIterable<never>, signal?: AbortSignal) {
  const desc: DescMethod = methodOf(method);
  return client.transport.stream(desc as DescMethodStreaming, signal, undefined, undefined, input);
}

/** The values of a stream to its end, also into `into` as they come. */
export async function readAll(messages: AsyncIterable<unknown>, into: string[] = []): Promise<string[]> {
  for await (const message of messages) into.push((message as Text).value);
  return into;
}
