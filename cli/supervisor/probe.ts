import { connect } from "node:net";

/** Where a process says that it is ready. */
export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** What a probe found: an answer with its status and the server's Date, or none. */
export type ProbeResult =
  | { readonly answered: true; readonly status: number; readonly body: string; readonly date: string | undefined }
  | { readonly answered: false; readonly why: string };

/** More than any answer that is asked for here; a server that goes on beyond it is no such server. */
const maxBytes = 4 * 2 ** 20;

/**
 * Asks once over HTTP. Never throws; an answer must be whole within `timeoutMs`.
 *
 * In HTTP/1.0 (RFC 1945) an answer ends with its connection and comes in one piece, so a few lines on a socket read it; node:http
 * would take 20 MB of the supervisor's memory for as long as the platform runs.
 */
export function probe(
  target: ProbeTarget,
  timeoutMs: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    // A wildcard is where a process binds, not where it is called.
    const host = target.host === "0.0.0.0" || target.host === "::" ? "127.0.0.1" : target.host;
    const socket = connect({ host, port: target.port });
    const parts: Buffer[] = [];
    let bytes = 0;
    const settle = (result: ProbeResult) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => settle({ answered: false, why: `nothing within ${timeoutMs} ms` }), timeoutMs);
    const lines = [`GET ${target.path} HTTP/1.0`, `Host: ${host}:${target.port}`];
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    socket.once("connect", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
    socket.on("error", (error) => settle({ answered: false, why: error.message || error.name }));
    socket.on("end", () => settle(parseAnswer(Buffer.concat(parts).toString())));
    socket.on("data", (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > maxBytes) settle({ answered: false, why: "an answer without an end" });
    });
  });
}

/** `HTTP/1.1 200 OK`, header lines, an empty line, the body. */
export function parseAnswer(text: string): ProbeResult {
  const [head = "", ...body] = text.split("\r\n\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(head)?.[1];
  if (status === undefined) return { answered: false, why: "an answer that is not HTTP" };
  const date = /^date: *(.+)$/im.exec(head)?.[1];
  return { answered: true, status: Number(status), body: body.join("\r\n\r\n"), date };
}
