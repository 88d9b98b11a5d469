/** How a process reaches Consul: one address, its token, and what its last answers were worth. */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { ConnectError } from "@connectrpc/connect";
import Consul from "consul";
import { failedPrecondition, invalidArgument, unavailable } from "#mesh/errors.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { plainTimeoutMs } from "./blocking.ts";

/** Where Consul is and as whom to ask it. */
export interface ConnectionOptions {
  readonly address: string;
  readonly token?: string;
  readonly datacenter?: string;
  readonly namespace?: string;
  readonly tls?: { readonly ca?: string | Buffer; readonly verify?: boolean };
  readonly log: Logger;
}

/** An HTTP answer, whole. */
export interface Answer {
  readonly status: number;
  readonly index: string | undefined;
  readonly hash: string | undefined;
  readonly body: string;
}

/** Bytes of an answer, at most; thousands of instances fit. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** One process's line to Consul. */
export class Connection {
  /** `http://host:port`, without a slash at the end and without credentials, to be shown. */
  readonly address: string;
  /** npm's client. Each of its calls makes a connection of its own: a kept one may have died with an agent's restart. */
  readonly #plain: Consul;
  readonly #options: ConnectionOptions;
  /** The address with all that stands in it. */
  readonly #base: string;
  readonly #agent: HttpAgent | HttpsAgent;
  #connected = false;
  #noted = false;
  #goodAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const url = parseAddress(options.address);
    this.#base = withoutSlash(url.href);
    this.address = withoutSlash(url.origin + url.pathname);
    const secure = url.protocol === "https:";
    const tls = { rejectUnauthorized: options.tls?.verify ?? true, ...(options.tls?.ca && { ca: options.tls.ca }) };
    const newAgent = (keepAlive: boolean) => (secure ? new HttpsAgent({ keepAlive, ...tls }) : new HttpAgent({ keepAlive }));
    this.#agent = newAgent(true);
    const settings = {
      baseUrl: `${this.#base}/v1`,
      headers: this.#headers(),
      agent: newAgent(false),
      timeout: plainTimeoutMs,
      ...(options.datacenter !== undefined && { defaults: { dc: options.datacenter } }),
    };
    this.#plain = new Consul(settings);
  }

  /**
   * GET `path` (with its leading /v1) and `query`. Settles with any HTTP status that is no refusal.
   *
   * @throws CallFailure on a 4xx other than 404; Error when there is no whole answer within `timeoutMs`, or `signal` aborts.
   */
  get(path: string, query: Readonly<Record<string, string>>, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    if (this.#options.datacenter !== undefined) url.searchParams.set("dc", this.#options.datacenter);
    const request = url.protocol === "https:" ? requestHttps : requestHttp;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const sent = request(url, { agent: this.#agent, headers: this.#headers() });
    const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const abort = () => sent.destroy(new Error("the query was stopped"));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    sent.on("error", reject);
    sent.on("response", (response) => readAnswer(response).then(resolve, reject));
    sent.end();
    const ended = promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    });
    return ended.then((answer) => {
      const { status: statusCode, body } = answer;
      if (statusCode >= 400 && statusCode < 500 && statusCode !== 404) throw new CallFailure({ statusCode, response: { body } });
      return answer;
    });
  }

  /** Makes a plain call and notes how it went. @throws CallFailure. */
  async call<T>(work: (consul: Consul) => Promise<T>): Promise<T> {
    try {
      const value = await work(this.#plain);
      this.noteGood(Date.now());
      return value;
    } catch (thrown) {
      const failure = new CallFailure(thrown);
      this.noteFailure(failure);
      throw failure;
    }
  }

  /** What to tell whoever asked for `what` and met `failure`. */
  errorFor(what: string, failure: unknown): ConnectError {
    const { status, message } = failure instanceof CallFailure ? failure : new CallFailure(failure);
    const registry = `the registry at ${this.address}`;
    if (status === undefined || status >= 500) return unavailable(`${what}: ${registry} does not answer`, 1000, failure);
    const said = `${what}: ${registry} answered ${message}`;
    if (status === 400 || status === 413) return invalidArgument([{ field: "", description: said }]);
    return failedPrecondition("REGISTRY_REFUSED", said);
  }

  noteGood(now: number): void {
    if (!this.#connected && this.#noted) this.#options.log.info({ registry: this.address }, "registry answers again");
    this.#connected = true;
    this.#noted = true;
    this.#goodAt = now;
  }

  /** Notes that an answer was none, or bad. A refusal of what was asked is a good answer: the registry is there. */
  noteFailure(error: unknown): void {
    if (isRefusal(error)) {
      this.noteGood(Date.now());
      return;
    }
    const message = `registry ${this.address} does not answer as it should; the last known state stays`;
    if (this.#connected || !this.#noted) this.#options.log.warn({ registry: this.address, err: error }, message);
    this.#connected = false;
    this.#noted = true;
  }

  status(now: number): { address: string; connected: boolean; ageMs: number } {
    return { address: this.address, connected: this.#connected, ageMs: Math.max(0, now - this.#goodAt) };
  }

  close(): void {
    this.#agent.destroy();
    this.#plain.destroy();
  }

  #headers(): Record<string, string> {
    const { token, namespace } = this.#options;
    return {
      ...(token !== undefined && { "x-consul-token": token }),
      ...(namespace !== undefined && { "x-consul-namespace": namespace }),
    };
  }
}

/**
 * Why a plain call failed. It takes no more from what npm's client threw: that holds the whole request, ACL token and all,
 * and would carry it into logs.
 */
export class CallFailure extends Error {
  override readonly name = "CallFailure";
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;

  constructor(thrown: unknown) {
    const { statusCode, response, message, code } = (thrown ?? {}) as Record<string, unknown>;
    const status = typeof statusCode === "number" ? statusCode : undefined;
    const { body } = (response ?? {}) as { body?: unknown };
    super(status === undefined ? String(message || code) : `${status} ${String(body ?? "").slice(0, 500)}`.trimEnd());
    this.status = status;
  }
}

/** Whether the registry understood what was asked, and refused it: 4xx. */
export function isRefusal(error: unknown): error is CallFailure {
  return error instanceof CallFailure && error.status !== undefined && error.status < 500;
}

/** CONSUL_HTTP_ADDR may lack a scheme, as it does for Consul's own tools. */
function parseAddress(address: string): URL {
  const text = address.includes("://") ? address : `http://${address}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    const description = `expected http://host:port or https://host:port, got ${JSON.stringify(address.replace(/\/\/.*@/, "//***@"))}`;
    throw invalidArgument([{ field: "CONSUL_HTTP_ADDR", description }]);
  }
  return url;
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new Error(`expected an answer of at most ${maxAnswerBytes} bytes, got more`);
    chunks.push(chunk);
  }
  const header = (name: string) => [response.headers[name]].flat()[0];
  const body = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, index: header("x-consul-index"), hash: header("x-consul-contenthash"), body };
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, "");
}
