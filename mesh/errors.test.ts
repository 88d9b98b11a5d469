import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import {
  from,
  internal,
  invalidArgument,
  reasonOf,
  resourceExhausted,
  retryAfterMs,
  unauthenticated,
  unavailable,
} from "./errors.ts";

describe("errors", () => {
  it("invalidArgument names every refused field in the message and in BadRequest", () => {
    const error = invalidArgument([
      { field: "user.email", description: "expected an email address" },
      { field: "", description: "body: expected an object" },
    ]);
    assert.equal(error.rawMessage, "user.email: expected an email address; body: expected an object");
    assert.equal(error.code, Code.InvalidArgument);
    const [detail] = error.findDetails(BadRequestSchema);
    assert.deepEqual(
      detail?.fieldViolations.map(({ field, description }) => ({ field, description })),
      [
        { field: "user.email", description: "expected an email address" },
        { field: "", description: "body: expected an object" },
      ],
    );
  });

  it("RetryInfo of 1500.25 ms is read back to the nanosecond", () => {
    assert.equal(retryAfterMs(resourceExhausted("slow down", 1500.25)), 1500.25);
    assert.equal(retryAfterMs(unavailable("away", 1000)), 1000);
    assert.equal(retryAfterMs(unavailable("away")), undefined);
  });

  it("the ErrorInfo reason is read back", () => {
    assert.equal(reasonOf(unauthenticated("MFA_REQUIRED", "a code is needed")), "MFA_REQUIRED");
    assert.equal(reasonOf(unavailable("away")), undefined);
  });

  it("internal keeps the cause and says nothing of it", () => {
    const error = internal(new Error("password=hunter2"));
    assert.equal(error.rawMessage, "internal error");
    assert.equal((error.cause as Error).message, "password=hunter2");
  });

  it("from leaves a ConnectError as it is, reads aborts, and makes INTERNAL of the rest", () => {
    const known = new ConnectError("gone", Code.NotFound);
    assert.equal(from(known), known);
    assert.equal(from(new DOMException("", "AbortError")).code, Code.Canceled);
    assert.equal(from(new DOMException("", "TimeoutError")).code, Code.DeadlineExceeded);
    assert.equal(from("text").code, Code.Internal);
    assert.equal(from("text").cause, "text");
  });
});
