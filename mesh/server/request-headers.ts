/** What Connect cannot cope with in the headers of a request, put right or refused before it gets there. */
import type { FastifyReply, FastifyRequest } from "fastify";

/** Above this Node's timers fire at once; it is 24.8 days. */
const maxTimerMs = 2 ** 31 - 1;

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Whether a `grpc-timeout` or `connect-timeout-ms` that is well formed asks for more than a timer can hold. */
export function isEndlessTimeout(header: "grpc-timeout" | "connect-timeout-ms", value: string): boolean {
  if (header === "connect-timeout-ms") return /^\d{1,10}$/.test(value) && Number(value) > maxTimerMs;
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  return match !== null && Number(match[1]) * (unitMs[match[2] ?? ""] ?? 0) > maxTimerMs;
}

/**
 * A Fastify hook. A call that may take a month has no deadline: Connect would set a timer that fires at once. A request without
 * an authority, or with one that is none, is a 400: Connect would throw and never answer it.
 */
export async function checkHeaders(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { headers } = request.raw;
  for (const header of ["grpc-timeout", "connect-timeout-ms"] as const) {
    const value = headers[header];
    if (typeof value === "string" && isEndlessTimeout(header, value)) delete headers[header];
  }
  const authority = headers[":authority"] ?? headers.host;
  if (typeof authority !== "string" || !URL.canParse("/", `http://${authority}`)) {
    await reply.code(400).send({ code: "invalid_argument", message: "host: expected host and port of this server" });
  }
}
