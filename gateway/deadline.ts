/** How long a request may take: the least of what its headers and the method's service config say. */
import type { IncomingHttpHeaders } from "node:http";
import { invalidArgument } from "#mesh/errors.ts";

/**
 * The milliseconds that the client gives the request by `Grpc-Timeout` (gRPC's form, `250m`), `Connect-Timeout-Ms` and
 * `X-Server-Timeout` (seconds, `1.5`): the least of them; Infinity when there is none.
 *
 * @throws INVALID_ARGUMENT for a header of another form.
 */
export function clientTimeoutMs(headers: IncomingHttpHeaders): number {
  return Math.min(...forms.map((form) => readTimeout(form, headers[form.header])));
}

interface Form {
  readonly header: string;
  readonly pattern: RegExp;
  readonly expected: string;
  readonly ms: (amount: number, unit: string) => number;
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

const forms: readonly Form[] = [
  {
    header: "grpc-timeout",
    pattern: /^(\d{1,8})([HMSmun])$/,
    expected: "at most 8 digits and one of H, M, S, m, u, n",
    ms: (amount, unit) => amount * (unitMs[unit] ?? Number.NaN),
  },
  { header: "connect-timeout-ms", pattern: /^(\d{1,10})()$/, expected: "at most 10 digits", ms: (amount) => amount },
  {
    header: "x-server-timeout",
    pattern: /^(\d{1,10}(?:\.\d{1,9})?)()$/,
    expected: "seconds such as 1.5",
    ms: (amount) => amount * 1000,
  },
];

function readTimeout(form: Form, value: string | string[] | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  const match = form.pattern.exec(String(value));
  if (match !== null) return form.ms(Number(match[1]), match[2] ?? "");
  const got = JSON.stringify(String(value).slice(0, 50));
  throw invalidArgument([{ field: `header ${form.header}`, description: `expected ${form.expected}, got ${got}` }]);
}
