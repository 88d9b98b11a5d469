/**
 * The gRPC probe: grpc.health.v1.Health/Check over HTTP/2, on a connection that it keeps. Losing the connection is the first
 * sign of a process that died, so whoever owns the probe is told at once.
 *
 * The two messages are small enough to be read and written by hand, which keeps protobuf out of the agent's memory.
 */
import { type ClientHttp2Session, connect, constants } from "node:http2";
import type { Probe } from "./model.ts";
import type { Finding } from "./probes.ts";

/** Bytes of an answer that are read; a HealthCheckResponse has two. */
const maxAnswer = 1024;
/** grpc.health.v1.HealthCheckResponse.ServingStatus, by number. */
const servingStatus = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** One target's probe with its connection. */
export class GrpcProbe {
  readonly #origin: string;
  readonly #request: Buffer;
  readonly #verify: boolean;
  readonly #onDrop: () => void;
  #session: ClientHttp2Session | undefined;

  /** `onDrop` is called when the kept connection ends by the other side's doing. */
  constructor(probe: Extract<Probe, { kind: "grpc" }>, onDrop: () => void) {
    // Consul's form: host:port, or host:port/service.
    const slash = probe.target.indexOf("/");
    const authority = slash === -1 ? probe.target : probe.target.slice(0, slash);
    this.#origin = `${probe.tls ? "https" : "http"}://${authority}`;
    this.#request = frame(encodeRequest(slash === -1 ? "" : probe.target.slice(slash + 1)));
    this.#verify = probe.verify;
    this.#onDrop = onDrop;
  }

  /** Asks once; on a connection that was going away, once more on a new one. Settles always. */
  async check(timeoutMs: number): Promise<Finding> {
    const deadline = Date.now() + timeoutMs;
    const kept = this.#session !== undefined;
    try {
      return await this.#ask(timeoutMs);
    } catch (error) {
      if (!kept || Date.now() >= deadline) return failed(error);
      return this.#ask(Math.max(1, deadline - Date.now())).catch(failed);
    }
  }

  /** Lets the connection go. */
  close(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.destroy();
  }

  /** @throws Error when there was no whole answer; the connection is let go then. */
  #ask(timeoutMs: number): Promise<Finding> {
    const { promise, resolve, reject } = Promise.withResolvers<Finding>();
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const ended = promise.catch((error) => {
      this.close();
      throw error;
    });
    try {
      const session = this.#connected(reject);
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: "/grpc.health.v1.Health/Check",
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": `${Math.min(Math.ceil(timeoutMs), 99_999_999)}m`,
        "user-agent": "heddle-agent",
      });
      let body = Buffer.alloc(0);
      let status: string | undefined;
      let message = "";
      const readStatus = (headers: Record<string, unknown>) => {
        if (headers["grpc-status"] === undefined) return;
        status = String(headers["grpc-status"]);
        message = decodeMessage(String(headers["grpc-message"] ?? ""));
      };
      stream.on("response", (headers) => {
        if (headers[":status"] !== 200) reject(new Error(`expected HTTP status 200, got ${headers[":status"]}`));
        readStatus(headers);
      });
      stream.on("trailers", readStatus);
      stream.on("data", (chunk: Buffer) => {
        if (body.length < maxAnswer) body = Buffer.concat([body, chunk]);
      });
      stream.on("error", reject);
      stream.on("close", () => {
        if (status === undefined) reject(new Error("the connection ended before the answer"));
        else resolve(readFinding(status, message, body));
      });
      stream.end(this.#request);
    } catch (error) {
      reject(error);
    }
    return ended.finally(() => clearTimeout(timer));
  }

  #connected(reject: (error: Error) => void): ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const session = connect(this.#origin, { rejectUnauthorized: this.#verify });
    this.#session = session;
    let open = false;
    session.on("connect", () => {
      open = true;
    });
    // Without a listener the error would end the agent; the stream's own error says the same to the probe.
    session.on("error", reject);
    const dropped = () => {
      if (this.#session !== session) return;
      this.#session = undefined;
      // The other side will take no more of this connection, or it is gone.
      if (!session.destroyed) session.close();
      if (open) this.#onDrop();
    };
    session.on("goaway", dropped);
    session.on("close", dropped);
    return session;
  }
}

function failed(error: unknown): Finding {
  const message = error instanceof Error ? error.message : String(error);
  return { status: "critical", output: `gRPC check failed: ${message || (error as { code?: string }).code}` };
}

function readFinding(status: string, message: string, body: Buffer): Finding {
  if (status !== "0") return { status: "critical", output: `gRPC check failed: status ${status} ${message}`.trimEnd() };
  const serving = servingStatus[readServing(body)] ?? "UNKNOWN";
  return { status: serving === "SERVING" ? "passing" : "critical", output: `gRPC check: ${serving}` };
}

/** HealthCheckRequest { string service = 1 }, empty for the whole server. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  if (name.length === 0) return name;
  if (name.length > 127) throw new Error(`expected a service name of at most 127 bytes, got ${name.length}`);
  return Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}

/** HealthCheckResponse { ServingStatus status = 1 } after its five bytes of framing; 0 is left out on the wire. */
function readServing(body: Buffer): number {
  return body.length >= 7 && body[0] === 0 && body[5] === 0x08 ? (body[6] ?? 0) : 0;
}

/** gRPC's length-prefixed message, not compressed. */
function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
