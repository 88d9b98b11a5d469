import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { noted, notFound, notYours, permissionDenied, unauthenticated, unavailable } from "../errors.ts";
import { refusalOf } from "./refusal.ts";

const ann = "0190a5a0-0000-7000-8000-00000000000a";
const session = "0190a5a0-0000-7000-8000-00000000000b";
const name = "a.v1.A/Get";
const principal = { id: ann, sessionId: session };

function relayed(error: ConnectError): ConnectError {
  error.isWireError = true;
  return error;
}

describe("refusalOf", () => {
  const nobody = { userId: "", sessionId: "" };
  const ofAnn = { userId: ann, sessionId: session };

  it("a token that does not verify is token.refused, of nobody", () => {
    const refusal = refusalOf(unauthenticated("TOKEN_INVALID", "no"), { name, principal: undefined });
    assert.deepEqual(refusal, { action: "token.refused", reason: "TOKEN_INVALID: a.v1.A/Get", ...nobody });
  });

  it("a token of a session that has ended is token.refused, of the user that it was for", () => {
    const error = noted(unauthenticated("TOKEN_REVOKED", "no"), ofAnn);
    const refusal = refusalOf(error, { name, principal: undefined });
    assert.deepEqual(refusal, { action: "token.refused", reason: "TOKEN_REVOKED: a.v1.A/Get", ...ofAnn });
  });

  it("PERMISSION_DENIED is access.denied, of the caller; without an ErrorInfo too", () => {
    const denied = refusalOf(permissionDenied("ROLE_REQUIRED", "no"), { name, principal });
    assert.deepEqual(denied, { action: "access.denied", reason: "ROLE_REQUIRED: a.v1.A/Get", ...ofAnn });
    const bare = refusalOf(new ConnectError("no", Code.PermissionDenied), { name, principal });
    assert.deepEqual(bare, { action: "access.denied", reason: "PERMISSION_DENIED: a.v1.A/Get", ...ofAnn });
  });

  it("somebody else's thing is access.denied although the answer is NOT_FOUND", () => {
    const refusal = refusalOf(notYours("thing", "1"), { name, principal });
    assert.deepEqual(refusal, { action: "access.denied", reason: "NOT_YOURS: a.v1.A/Get", ...ofAnn });
  });

  it("a forged proof of a service is caller.refused where a service was wanted", () => {
    const callerError = unauthenticated("CALLER_INVALID", "no");
    const refusal = refusalOf(unauthenticated("CALLER_REQUIRED", "no"), { name, principal: undefined, callerError });
    assert.deepEqual(refusal, { action: "caller.refused", reason: "CALLER_INVALID: a.v1.A/Get", ...nobody });
  });

  it("the id of one of the gateway's own keys, ci, is no user's", () => {
    const refusal = refusalOf(permissionDenied("SCOPE_REQUIRED", "no"), { name, principal: { id: "ci", sessionId: "" } });
    assert.deepEqual(refusal, { action: "access.denied", reason: "SCOPE_REQUIRED: a.v1.A/Get", ...nobody });
  });

  for (const [what, error] of [
    ["OK", undefined],
    ["a token that has expired", unauthenticated("TOKEN_EXPIRED", "no")],
    ["no token at all", unauthenticated("SIGN_IN_REQUIRED", "no")],
    ["no proof of a service at all", unauthenticated("CALLER_REQUIRED", "no")],
    ["a wrong API key, which auth records", unauthenticated("API_KEY_INVALID", "no")],
    ["what does not exist", notFound("thing", "1")],
    ["an outage", unavailable("away")],
    ["what another service refused and recorded", relayed(permissionDenied("ROLE_REQUIRED", "no"))],
  ] as const) {
    it(`${what} is no refusal to record`, () => {
      assert.equal(refusalOf(error, { name, principal }), undefined);
    });
  }
});
