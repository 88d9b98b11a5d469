/** What stands around a registry in its contract: a gRPC health server that can fail, and a line that can be bad. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";

/** Waits until `condition` holds. @throws Error when it does not within `ms` milliseconds. */
export async function until(condition: () => boolean, ms: number): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`expected within ${ms} ms: ${condition}`);
    await sleep(10);
  }
}

/** grpc.health.v1 by an implementation that is not ours. */
export class HealthServer implements AsyncDisposable {
  status: "SERVING" | "NOT_SERVING" = "SERVING";
  /** How often it was asked. */
  checks = 0;
  port = 0;
  readonly #server = new GrpcServer();

  static async start(): Promise<HealthServer> {
    const health = new HealthServer();
    const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
    const check = {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes.serialize,
      requestDeserialize: bytes.deserialize,
      responseSerialize: bytes.serialize,
      responseDeserialize: bytes.deserialize,
    };
    health.#server.addService(
      { Check: check },
      {
        Check: (_: unknown, callback: (error: null, value: Buffer) => void) => {
          health.checks += 1;
          callback(null, Buffer.from([0x08, health.status === "SERVING" ? 1 : 2]));
        },
      },
    );
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    health.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
    health.port = await promise;
    return health;
  }

  /** Ends at once, connections and all. */
  async kill(): Promise<void> {
    this.#server.forceShutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** A program outside the mesh, with a health page. */
export class HttpProgram implements AsyncDisposable {
  /** What its page answers. */
  status = 204;
  readonly port: number;
  /** The requests that came, each kind once. */
  readonly requests = new Set<string>();
  readonly #server: Server;

  static async start(): Promise<HttpProgram> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new HttpProgram(server);
  }

  constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("request", ({ method, url }, outgoing) => {
      this.requests.add(`${method} ${url}`);
      outgoing.writeHead(this.status).end();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((closed) => this.#server.close(closed));
  }
}

/** How a line is: good, or bad in one way. */
export type LineMode = "pass" | "status 500" | "not JSON" | "cut off" | "a JSON object" | "hang" | "refuse";

/** An HTTP proxy in front of a server, whose answers can be made bad. Changing the mode ends what is under way, except for pass. */
export class FaultyProxy implements AsyncDisposable {
  readonly address: string;
  /** Every path that was asked, oldest first. */
  readonly paths: string[] = [];
  /** What X-Consul-Index is made to say; undefined leaves it alone, a value of undefined takes it away. */
  index: { readonly value: string | undefined } | undefined;
  #mode: LineMode = "pass";
  readonly #server: Server;
  readonly #target: string;
  readonly #open = new Set<ServerResponse>();

  static async start(target: string): Promise<FaultyProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FaultyProxy(server, target);
  }

  constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming, outgoing) => this.#pass(incoming, outgoing));
  }

  /** Requests under way. */
  open(): number {
    return this.#open.size;
  }

  set mode(mode: LineMode) {
    this.#mode = mode;
    if (mode !== "hang") this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.paths.push(incoming.url ?? "");
    this.#open.add(outgoing);
    outgoing.on("close", () => this.#open.delete(outgoing));
    if (this.#mode === "hang") return;
    if (this.#mode === "refuse") incoming.socket.destroy();
    else if (this.#mode === "pass") this.#forward(incoming, outgoing);
    else this.#answerBadly(outgoing);
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, headers } = incoming;
    const forwarded = request(this.#target + incoming.url, { method, headers, agent: false }, (answer) => {
      const given = { ...answer.headers };
      if (this.index !== undefined) {
        delete given["x-consul-index"];
        if (this.index.value !== undefined) given["x-consul-index"] = this.index.value;
      }
      // A hang takes hold of what is under way too.
      if (this.#mode === "hang") return;
      outgoing.writeHead(answer.statusCode ?? 502, given);
      answer.pipe(outgoing);
    });
    forwarded.on("error", () => outgoing.destroy());
    outgoing.on("close", () => forwarded.destroy());
    incoming.pipe(forwarded);
  }

  #answerBadly(outgoing: ServerResponse): void {
    const headers = { "x-consul-index": "7", "content-type": "application/json" };
    if (this.#mode === "status 500") outgoing.writeHead(500, headers).end("rpc error: No cluster leader");
    if (this.#mode === "not JSON") outgoing.writeHead(200, headers).end("<html>");
    if (this.#mode === "a JSON object") outgoing.writeHead(200, headers).end('{"Services":[]}');
    if (this.#mode === "cut off") {
      outgoing.writeHead(200, { ...headers, "content-length": "1000" }).write('[{"Node":');
      outgoing.socket?.end();
    }
  }
}
