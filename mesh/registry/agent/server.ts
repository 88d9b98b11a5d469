/** The agent's HTTP server: reads a request whole, waits for blocking queries, answers in Consul's forms. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { crossSiteProblem } from "#mesh/net/same-site.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { ChangeIndex } from "./change-index.ts";
import { parseDuration } from "./durations.ts";
import { Refusal, refuse } from "./refusal.ts";
import { type Call, findRoute, type Reply, type Route } from "./routing.ts";
import { unsupportedSentence } from "./unsupported.ts";

/** Bytes of a request's body; Consul's kv_max_value_size, which it applies to all bodies. */
export const maxBodyBytes = 512 * 1024;
/** Consul's longest and usual wait of a blocking query, in milliseconds. */
const maxWaitMs = 600_000;
const usualWaitMs = 300_000;

/** A server for `routes` that is not listening yet. */
export function createAgentServer(o: {
  readonly routes: readonly Route[];
  readonly index: ChangeIndex;
  readonly datacenter: string;
  /** Names by which clients reach it, beside IP addresses, `localhost` and this machine's. */
  readonly names: readonly string[];
  readonly log: Logger;
}): Server {
  // Blocking queries hold a request for minutes; what a client sends must still arrive in time.
  return createServer({ requestTimeout: 30_000, keepAliveTimeout: 60_000 }, (request, response) => {
    respond(o, request, response).catch((error) => {
      o.log.error({ err: error, path: request.url }, "the agent failed to answer");
      if (!response.headersSent) send(response, { status: 500, body: "internal error of the agent" }, false);
    });
  });
}

type ServerParts = Parameters<typeof createAgentServer>[0];

async function respond(o: ServerParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = "/", search = ""] = splitUrl(request.url ?? "/");
  const query = new URLSearchParams(search);
  const pretty = query.has("pretty");
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "");
    const problem = crossSiteProblem(method, request.headers, o.names);
    if (problem !== undefined) refuse(403, problem);
    const { route, ...found } = matched(o.routes, method, path);
    if (route === undefined) return send(response, "reply" in found ? found.reply : { status: 404 }, pretty);
    const params = "params" in found ? found.params : {};
    const call: Call = { method, path, params, query, body: await readBody(request), signal: gone.signal };
    checkDatacenter(query, o.datacenter);
    if (query.get("filter")) refuse(400, "filter: Heddle's embedded agent does not have filter expressions");
    const indexHeaders = route.topic === undefined ? {} : await block(o.index, route.topic(call), call);
    const reply = await route.answer(call);
    send(response, { ...reply, headers: { ...indexHeaders, ...reply.headers } }, pretty);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // What was not read of a refused body must not be taken for the next request.
    const headers: Record<string, string> = request.complete ? {} : { connection: "close" };
    send(response, { status: error.status, body: error.message, headers }, pretty);
  }
}

function matched(routes: readonly Route[], method: string, path: string) {
  try {
    const match = findRoute(routes, method, path);
    if (match.route !== undefined) return match;
    const { methods } = match;
    if (methods.length === 0) return { route: undefined, reply: notThere(path) };
    const headers = { allow: ["OPTIONS", ...methods].join(",") };
    if (method === "OPTIONS") return { route: undefined, reply: { status: 200, headers } };
    return { route: undefined, reply: { status: 405, headers, body: `method ${method} not allowed` } };
  } catch (error) {
    if (error instanceof URIError) return refuse(400, `${path}: expected a path with good percent-escapes`);
    throw error;
  }
}

function notThere(path: string): Reply {
  return { status: 404, body: unsupportedSentence(path) ?? "" };
}

/** Waits as the query asks for, and gives the headers of the state that will be answered. */
async function block(index: ChangeIndex, topic: string, { query, signal }: Call): Promise<Record<string, string>> {
  const after = query.get("index") ?? "0";
  if (!/^\d{1,20}$/.test(after)) refuse(400, "Invalid index");
  const waitMs = readWaitMs(query, Math.random());
  if (Number(after) > 0) await index.wait(topic, Number(after), waitMs, signal);
  return {
    "X-Consul-Index": String(index.of(topic)),
    "X-Consul-KnownLeader": "true",
    "X-Consul-LastContact": "0",
    "X-Consul-Effective-Consistency": "leader",
  };
}

/**
 * How long a query may be held, in milliseconds: what it asks for, and up to a sixteenth more, by which Consul keeps clients
 * from returning in step; `random` is from 0 to 1. @throws Refusal 400.
 */
export function readWaitMs(query: URLSearchParams, random: number): number {
  const wait = query.get("wait") ?? "";
  const asked = wait === "" ? usualWaitMs : parseDuration(wait);
  if (asked === undefined) refuse(400, "Invalid wait time");
  const ms = Math.min(maxWaitMs, asked || usualWaitMs);
  return ms + (random * ms) / 16;
}

function checkDatacenter(query: URLSearchParams, datacenter: string): void {
  const asked = query.get("dc") ?? "";
  if (asked !== "" && asked !== datacenter) refuse(500, "No path to datacenter");
  const namespace = query.get("ns") ?? query.get("partition") ?? "";
  if (namespace !== "" && namespace !== "default")
    refuse(400, "Invalid query parameter: namespaces are a Consul Enterprise feature");
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) refuse(413, `Request body too large, max size: ${maxBodyBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, reply: Reply, pretty: boolean): void {
  if (response.destroyed || response.headersSent) return;
  const isJson = reply.json !== undefined;
  const body = isJson ? `${JSON.stringify(reply.json, null, pretty ? 4 : 0)}${pretty ? "\n" : ""}` : (reply.body ?? "");
  const type = isJson ? "application/json" : body.length > 0 ? "text/plain; charset=utf-8" : undefined;
  response.writeHead(reply.status, {
    ...(type !== undefined && { "Content-Type": type }),
    Vary: "Accept-Encoding",
    "Content-Length": Buffer.byteLength(body),
    ...reply.headers,
  });
  response.end(body);
}

function splitUrl(url: string): string[] {
  const at = url.indexOf("?");
  return at === -1 ? [url] : [url.slice(0, at), url.slice(at + 1)];
}
