import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { type AttemptEnd, classify, type EndedBy, isParentShort, type Outcome } from "./classify.ts";
import { statusNames } from "./status-codes.ts";

describe("classify", () => {
  // One line per gRPC status code on the wire: kind, retry, service breaker, endpoint, token.
  const wire: readonly (readonly [number, string, ...string[]])[] = [
    [0, "ok", "never", "success", "success", "success"],
    [Code.Canceled, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.Unknown, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [Code.InvalidArgument, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.DeadlineExceeded, "deadline-own", "never", "slow-failure", "slow", "failure-if-listed"],
    [Code.NotFound, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.AlreadyExists, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.PermissionDenied, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.ResourceExhausted, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.FailedPrecondition, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.Aborted, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.OutOfRange, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.Unimplemented, "application", "listed", "success", "success", "failure-if-listed"],
    [Code.Internal, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [Code.Unavailable, "unavailable", "listed", "failure", "failure", "failure"],
    [Code.DataLoss, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [Code.Unauthenticated, "application", "listed", "success", "success", "failure-if-listed"],
    // Beyond the enum: UNKNOWN.
    [17, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [999, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [-1, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [2.5, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
    [Number.NaN, "server-fault", "listed", "failure", "failure", "failure-if-listed"],
  ];
  for (const [code, ...row] of wire) {
    it(`reads status ${code} (${statusNames[code] ?? "no such code"}) on the wire as ${row.join(", ")}`, () => {
      assert.deepEqual(columns(classify({ by: "wire", code })), row);
    });
  }

  it("has a row for every member of Connect's Code and for OK", () => {
    const codes = Object.values(Code).filter((code) => typeof code === "number");
    assert.deepEqual(
      wire.map(([code]) => code).filter((code) => code !== 2.5 && code >= 0 && code <= 16),
      [0, ...codes.sort((a, b) => a - b)],
    );
  });

  const ends: readonly (readonly [Partial<AttemptEnd> & { by: EndedBy }, ...string[]])[] = [
    [{ by: "unsent" }, "unsent", "free", "ignored", "drain", "none"],
    [{ by: "refused" }, "refused", "free-once", "ignored", "drain", "none"],
    [{ by: "connect" }, "connect-failure", "next-endpoint", "failure-if-all", "connect-failure", "none"],
    [{ by: "deadline" }, "deadline-own", "never", "slow-failure", "slow", "failure-if-listed"],
    [{ by: "deadline", parentShort: true }, "deadline-parent", "never", "ignored", "ignored", "none"],
    [{ by: "wire", code: 4, parentShort: true }, "deadline-parent", "never", "ignored", "ignored", "none"],
    [{ by: "wire", code: 8, shed: true }, "shed", "if-told", "ignored", "load", "failure"],
    [{ by: "wire", code: 14, shed: true }, "unavailable", "listed", "failure", "failure", "failure"],
    [{ by: "attempt-timeout" }, "attempt-timeout", "policy", "slow-failure", "slow", "failure"],
    [{ by: "cancelled" }, "cancelled", "never", "success", "success", "none"],
    [{ by: "abandoned" }, "abandoned", "never", "ignored", "ignored", "none"],
    [{ by: "local" }, "local", "never", "ignored", "ignored", "none"],
  ];
  for (const [end, ...row] of ends) {
    it(`reads ${JSON.stringify(end)} as ${row.join(", ")}`, () => {
      assert.deepEqual(columns(classify({ code: 14, ...end })), row);
    });
  }
});

describe("isParentShort", () => {
  const cases: readonly (readonly [number, number | undefined, boolean])[] = [
    [99, 100, true],
    [100, 100, false],
    [Number.POSITIVE_INFINITY, 100, false],
    [5, undefined, false],
    [Number.POSITIVE_INFINITY, undefined, false],
  ];
  for (const [remaining, timeout, expected] of cases) {
    it(`is ${expected} with ${remaining} ms left and a method timeout of ${timeout} ms`, () => {
      assert.equal(isParentShort(remaining, timeout), expected);
    });
  }
});

function columns({ kind, retry, serviceBreaker, endpoint, token }: Outcome): string[] {
  return [kind, retry, serviceBreaker, endpoint, token];
}
