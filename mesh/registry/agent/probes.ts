/** The probes over HTTP/1.1 and TCP. The words of the outputs are Consul's. */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { connect } from "node:net";
import type { CheckStatus, Probe } from "./model.ts";

/** What a probe found, and a sentence about it. */
export interface Finding {
  readonly status: CheckStatus;
  readonly output: string;
}

/** Bytes of an answer that are kept as output; Consul's. */
const maxOutput = 4096;

/** An HTTP request: 2xx is passing, 429 warning, all else critical. Redirects are not followed. Settles always. */
export function probeHttp(probe: Extract<Probe, { kind: "http" }>, timeoutMs: number): Promise<Finding> {
  const { promise, resolve } = Promise.withResolvers<Finding>();
  const { url, method, body, verify } = probe;
  const what = `HTTP ${method} ${url}: `;
  const critical = (error: Error) => resolve({ status: "critical", output: what + error.message });
  const request = url.startsWith("https:") ? requestHttps : requestHttp;
  const headers: Record<string, string | string[]> = { "user-agent": "Consul Health Check", accept: "text/plain, text/*, */*" };
  for (const [name, values] of Object.entries(probe.headers)) headers[name] = [...values];
  try {
    const sent = request(url, { method, headers, agent: false, rejectUnauthorized: verify }, (response) => {
      let output = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        if (output.length < maxOutput) output = (output + text).slice(0, maxOutput);
      });
      response.on("error", critical);
      response.on("end", () => {
        const code = response.statusCode ?? 0;
        const status = code >= 200 && code < 300 ? "passing" : code === 429 ? "warning" : "critical";
        resolve({ status, output: `${what}${code} ${response.statusMessage} Output: ${output}` });
      });
    });
    sent.on("error", critical);
    sent.end(body);
    const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    return promise.finally(() => clearTimeout(timer));
  } catch (error) {
    // A header or URL that Node refuses to send.
    critical(error instanceof Error ? error : new Error(String(error)));
    return promise;
  }
}

/** A TCP connection: passing when it is accepted. Settles always. */
export function probeTcp(target: string, timeoutMs: number): Promise<Finding> {
  const { promise, resolve } = Promise.withResolvers<Finding>();
  const { host, port } = splitTarget(target);
  const socket = connect({ host, port, timeout: timeoutMs });
  const settle = (status: CheckStatus, output: string) => {
    socket.destroy();
    resolve({ status, output });
  };
  socket.on("connect", () => settle("passing", `TCP connect ${target}: Success`));
  socket.on("timeout", () => settle("critical", `TCP connect ${target}: no answer within ${timeoutMs} ms`));
  socket.on("error", (error) => settle("critical", `dial tcp ${target}: ${error.message}`));
  return promise;
}

/** `host:port`, `[::1]:port`; the port is 0 when there is none. */
export function splitTarget(target: string): { readonly host: string; readonly port: number } {
  const [, host = target, port = "0"] = /^\[?(.*?)\]?:(\d{1,5})$/.exec(target) ?? [];
  return { host, port: Math.min(Number(port), 65535) };
}
