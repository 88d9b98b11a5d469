/** A finding for people: enough to make a test of it. */
import type { Finding } from "./fuzz.ts";

/** Some lines. */
export function describeFinding({ what, request, expected, reply, calls, contract }: Finding): string {
  const { httpMethod, path, query, contentType, body } = request;
  const why =
    expected.kind === "call"
      ? `call ${JSON.stringify(expected.rule)}, ${hex(expected.bytes)}`
      : `${expected.kind}: ${expected.why}`;
  const lines = [
    what,
    `${httpMethod} ${path}${query === undefined ? "" : `?${query}`} (${contentType})`,
    `body: ${contentType === "application/x-protobuf" ? hex(body) : Buffer.from(body).toString()}`,
    `expected: ${why}`,
    `got: ${reply?.status} ${reply?.body.toString().slice(0, 600)} ${calls.map(({ method, bytes }) => `${method} ${hex(bytes)}`).join()}`,
    ...(expected.kind === "call"
      ? [`fields: ${expected.input.fields.map((field) => `${field}`.replace("field ", "")).join("; ")}`]
      : []),
    `rules: ${contract.rules.length}`,
  ];
  return lines.join("\n    ").slice(0, 3000);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
