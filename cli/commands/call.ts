import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import {
  create,
  type DescMethod,
  fromJsonString,
  type Message,
  type MessageShape,
  type Registry,
  toJson,
} from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import type { ConnectError, Transport } from "@connectrpc/connect";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { runWithContext } from "#mesh/context.ts";
import { from } from "#mesh/errors.ts";
import { newTrace } from "#mesh/telemetry/trace.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { commandMesh, ownName } from "./command-mesh.ts";
import { findMethod, loadContracts, typesOf } from "./contracts.ts";

/** The options of `heddle call`. */
export interface CallOptions {
  readonly token?: string;
  readonly address?: string;
  readonly header: readonly string[];
  /** Milliseconds. */
  readonly deadline?: number;
}

/**
 * `heddle call`: one call through the mesh, by registry, service config and breakers as a service would make it. The answer goes to
 * stdout, each message of a stream as a line; an error to stderr as google.rpc.Status, with exit code 1.
 *
 * @throws Failure for a method that does not exist, and JSON that is not its request.
 */
export async function call(context: CommandContext, name: string, json: string, options: CallOptions): Promise<number> {
  const contracts = loadContracts(context.root);
  const types = typesOf(contracts);
  const method = findMethod(contracts, name);
  const input = requests(method, json, types);
  const header = headersOf(options.header);
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());

  await using undo = new AsyncDisposableStack();
  const upstreams = options.address === undefined ? new Map() : new Map([[method.parent.typeName, [options.address]]]);
  const mesh = undo.use(await commandMesh(context, upstreams));
  const print = (message: Message) => {
    const text = toJson(method.output, message, { registry: types });
    const stream = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    context.out.write(`${stream ? JSON.stringify(text) : JSON.stringify(text, null, 2)}\n`);
  };
  try {
    const now = Date.now();
    const callContext = {
      deadline: options.deadline === undefined ? Number.POSITIVE_INFINITY : now + options.deadline,
      signal: controller.signal,
      principal: options.token === undefined ? undefined : holderOf(options.token),
      caller: undefined,
      trace: newTrace(),
      correlationId: randomBytes(16).toString("hex"),
      criticality: "CRITICAL",
      client: { address: "", userAgent: ownName },
    } as const;
    await runWithContext(callContext, () =>
      send(mesh.transport, method, input, { header, controller, print, deadline: options.deadline }),
    );
    return 0;
  } catch (error) {
    if (error instanceof Failure) throw error;
    context.err.write(`${JSON.stringify(statusJson(from(error), types), null, context.err.isTTY ? 2 : 0)}\n`);
    return 1;
  }
}

/** An error as google.rpc.Status in JSON; details of types that are unknown here stay as their type and bytes. */
export function statusJson(error: ConnectError, types: Registry): unknown {
  const details = error.details.flatMap((detail) => {
    if ("desc" in detail) return [anyPack(detail.desc, create(detail.desc, detail.value))];
    return [create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value })];
  });
  const known = details.filter(({ typeUrl }) => types.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) !== undefined);
  return toJson(StatusSchema, create(StatusSchema, { code: error.code, message: error.rawMessage, details: known }), {
    registry: types,
  });
}

interface Sending {
  readonly header: Headers;
  readonly controller: AbortController;
  readonly deadline: number | undefined;
  readonly print: (message: Message) => void;
}

async function send(transport: Transport, method: DescMethod, input: AsyncIterable<Message>, how: Sending): Promise<void> {
  const { signal } = how.controller;
  if (method.methodKind === "unary") {
    for await (const request of input) {
      const response = await transport.unary(
        method as DescMethod & { methodKind: "unary" },
        signal,
        how.deadline,
        how.header,
        request,
      );
      how.print(response.message);
      return;
    }
    throw new Failure("expected one request on stdin, got none", 2);
  }
  const streaming = method as DescMethod & { methodKind: Exclude<DescMethod["methodKind"], "unary"> };
  const response = await transport.stream(streaming, signal, how.deadline, how.header, input);
  for await (const message of response.message) how.print(message);
}

async function* requests(method: DescMethod, json: string, types: Registry): AsyncIterable<MessageShape<typeof method.input>> {
  const parse = (text: string, where: string) => {
    try {
      return fromJsonString(method.input, text, { registry: types });
    } catch (error) {
      throw new Failure(
        `${where} is not a ${method.input.typeName}: ${error instanceof Error ? error.message : String(error)}`,
        2,
      );
    }
  };
  if (json !== "-") {
    yield parse(json, "the request");
    return;
  }
  let line = 0;
  for await (const text of createInterface({ input: process.stdin })) {
    line += 1;
    if (text.trim() !== "") yield parse(text, `line ${line} of stdin`);
  }
}

function headersOf(lines: readonly string[]): Headers {
  const headers = new Headers();
  for (const line of lines) {
    const at = line.indexOf(":");
    if (at < 1) throw new Failure(`--header: expected name:value, got ${JSON.stringify(line)}`, 2);
    headers.append(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return headers;
}

/** A principal that only carries the token on: who holds it, the service finds out. */
function holderOf(token: string) {
  return {
    kind: "user",
    id: "",
    roles: [],
    scopes: [],
    sessionId: "",
    token,
    expiresAt: Number.POSITIVE_INFINITY,
    degraded: false,
  } as const;
}
