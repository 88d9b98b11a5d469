import assert from "node:assert/strict";
import { isUniqueViolation, kindOf, type SqlErrorKind } from "./sql-error.ts";

const rows: readonly (readonly [what: string, error: unknown, kind: SqlErrorKind])[] = [
  ["57P01 admin_shutdown", coded("57P01"), "connection"],
  ["57P02 crash_shutdown", coded("57P02"), "connection"],
  ["57P03 cannot_connect_now", coded("57P03"), "connection"],
  ["53300 too_many_connections", coded("53300"), "connection"],
  ["08006 connection_failure", coded("08006"), "connection"],
  ["08P01 protocol_violation", coded("08P01"), "connection"],
  ["ECONNREFUSED", coded("ECONNREFUSED"), "connection"],
  ["ECONNRESET", coded("ECONNRESET"), "connection"],
  ["EPIPE", coded("EPIPE"), "connection"],
  ["ENOTFOUND", coded("ENOTFOUND"), "connection"],
  ["a connection that ended in a query", new Error("Connection terminated unexpectedly"), "connection"],
  ["a connection attempt that took too long", new Error("Connection terminated due to connection timeout"), "connection"],
  ["40001 serialization_failure", coded("40001"), "conflict"],
  ["40P01 deadlock_detected", coded("40P01"), "conflict"],
  ["57014 query_canceled", coded("57014"), "timeout"],
  ["23505 unique_violation", coded("23505"), "other"],
  ["3D000 invalid_catalog_name", coded("3D000"), "other"],
  ["22P02 invalid_text_representation", coded("22P02"), "other"],
  ["an error without a code", new Error("boom"), "other"],
  ["a text", "boom", "other"],
];

describe("kindOf", () => {
  for (const [what, error, kind] of rows) it(`${what} is ${kind}`, () => assert.equal(kindOf(error), kind));
});

describe("isUniqueViolation", () => {
  it("tells 23505 from others, and one constraint from another", () => {
    const error = Object.assign(coded("23505"), { constraint: "users_email_key" });
    assert.equal(isUniqueViolation(error), true);
    assert.equal(isUniqueViolation(error, "users_email_key"), true);
    assert.equal(isUniqueViolation(error, "other"), false);
    assert.equal(isUniqueViolation(coded("23503")), false);
  });
});

function coded(code: string): Error {
  return Object.assign(new Error("x"), { code });
}
