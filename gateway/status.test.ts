import assert from "node:assert/strict";
import { create, createRegistry, toBinary } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { internal, invalidArgument, resourceExhausted, unauthenticated } from "#mesh/errors.ts";
import { answerError, detailTypes, httpError, httpStatus } from "./status.ts";

const types = detailTypes(createRegistry());
const answer = (error: unknown, problem = false) => answerError(error, { types, problem });

describe("gateway/status", () => {
  const statuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
  for (const [code, status] of statuses.entries()) {
    it(`maps code ${code} to ${status}`, () => {
      assert.equal(httpStatus(code), status);
    });
  }

  it("maps codes that there are none of to 500: -1, 17, 1.5", () => {
    assert.deepEqual([-1, 17, 1.5].map(httpStatus), [500, 500, 500]);
  });

  it("writes code, message and details by their fields", () => {
    const { status, headers, body } = answer(invalidArgument([{ field: "user.email", description: "expected string, got 5" }]));
    assert.equal(status, 400);
    assert.deepEqual(headers, { "content-type": "application/json" });
    assert.deepEqual(JSON.parse(body), {
      code: 3,
      message: "user.email: expected string, got 5",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.BadRequest",
          fieldViolations: [{ field: "user.email", description: "expected string, got 5" }],
        },
      ],
    });
  });

  it("decodes details from the wire, and sends unknown and broken ones in base64", () => {
    const error = new ConnectError("no", Code.Aborted);
    const value = toBinary(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "R" }));
    error.details = [
      { type: "google.rpc.ErrorInfo", value },
      { type: "acme.Unknown", value: new Uint8Array([1, 2]) },
      { type: "google.rpc.ErrorInfo", value: new Uint8Array([0xff]) },
    ];
    assert.deepEqual(JSON.parse(answer(error).body).details, [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "R" },
      { "@type": "type.googleapis.com/acme.Unknown", value: "AQI=" },
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", value: "/w==" },
    ]);
  });

  it("puts a detail with a JSON form of its own under value", () => {
    const own = detailTypes(createRegistry(DurationSchema));
    const error = new ConnectError("no", Code.Aborted, undefined, [{ desc: DurationSchema, value: { seconds: 3n } }]);
    assert.deepEqual(JSON.parse(answerError(error, { types: own, problem: false }).body).details, [
      { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" },
    ]);
  });

  it("rounds Retry-After up to seconds", () => {
    assert.equal(answer(resourceExhausted("slow down", 1001)).headers["retry-after"], "2");
    assert.equal(answer(resourceExhausted("slow down", 1000)).headers["retry-after"], "1");
    const none = new ConnectError("no", Code.Unavailable, undefined, [{ desc: RetryInfoSchema, value: {} }]);
    assert.equal(answer(none).headers["retry-after"], undefined);
  });

  it("challenges on 401, and says when the token is bad", () => {
    assert.equal(answer(unauthenticated("SIGN_IN_REQUIRED", "no")).headers["www-authenticate"], 'Bearer realm="heddle"');
    assert.equal(
      answer(unauthenticated("TOKEN_EXPIRED", "no")).headers["www-authenticate"],
      'Bearer realm="heddle", error="invalid_token"',
    );
  });

  it("writes problem+json", () => {
    const { headers, body } = answer(httpError(405, Code.Unimplemented, "no PUT", { allow: "GET" }), true);
    assert.deepEqual(headers, { "content-type": "application/problem+json", allow: "GET" });
    assert.deepEqual(JSON.parse(body), {
      type: "about:blank",
      title: "Method Not Allowed",
      status: 405,
      detail: "no PUT",
      code: 12,
      message: "no PUT",
    });
  });

  it("says nothing of a cause", () => {
    for (const error of [internal(new Error("password=hunter2")), new Error("password=hunter2"), "password=hunter2"]) {
      assert.deepEqual(
        { status: answer(error).status, body: answer(error).body },
        { status: 500, body: '{"code":13,"message":"internal error"}' },
      );
    }
  });
});
