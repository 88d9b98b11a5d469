import assert from "node:assert/strict";
import { from } from "#mesh/errors.ts";
import { clientTimeoutMs } from "./deadline.ts";

describe("gateway/deadline", () => {
  const good: [headers: Record<string, string>, ms: number][] = [
    [{}, Number.POSITIVE_INFINITY],
    [{ "grpc-timeout": "250m" }, 250],
    [{ "grpc-timeout": "2S" }, 2000],
    [{ "grpc-timeout": "99999999H" }, 99_999_999 * 3_600_000],
    [{ "grpc-timeout": "5u" }, 0.005],
    [{ "connect-timeout-ms": "1500" }, 1500],
    [{ "x-server-timeout": "1.5" }, 1500],
    [{ "x-server-timeout": "0" }, 0],
    [{ "grpc-timeout": "1S", "connect-timeout-ms": "700", "x-server-timeout": "3" }, 700],
  ];
  for (const [headers, ms] of good) {
    it(`reads ${JSON.stringify(headers)} as ${ms} ms`, () => {
      assert.equal(clientTimeoutMs(headers), ms);
    });
  }

  const bad: [header: string, value: string][] = [
    ["grpc-timeout", "1"],
    ["grpc-timeout", "1s"],
    ["grpc-timeout", "123456789S"],
    ["grpc-timeout", "-1S"],
    ["grpc-timeout", ""],
    ["connect-timeout-ms", "1.5"],
    ["connect-timeout-ms", "12345678901"],
    ["x-server-timeout", "1s"],
    ["x-server-timeout", "NaN"],
    ["x-server-timeout", "-1"],
  ];
  for (const [header, value] of bad) {
    it(`refuses ${header}: ${JSON.stringify(value)}`, () => {
      assert.throws(
        () => clientTimeoutMs({ [header]: value }),
        (error) => from(error).rawMessage.startsWith(`header ${header}: expected `),
      );
    });
  }
});
