import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { ann, asAdmin, asAnn, asAuth, bob } from "./notification.fixture.ts";
import { callerKey, callingUser, mayActFor, ownerOf, type Who } from "./ownership.ts";

const nobody: Who = { principal: undefined, caller: undefined };
const paymentForAnn: Who = { ...asAnn, caller: { ...(asAuth.caller as NonNullable<Who["caller"]>), id: "payment" } };
const gateway: Who = { principal: undefined, caller: asAnn.caller };

const code = (expected: Code) => (error: unknown) => error instanceof ConnectError && error.code === expected;

describe("ownership", () => {
  it("takes the calling user where user_id is empty", () => {
    assert.equal(ownerOf(asAnn, ""), ann);
    assert.equal(ownerOf(paymentForAnn, ""), ann);
  });

  it("knows the own id in capitals", () => {
    assert.equal(ownerOf(asAnn, ann.toUpperCase()), ann);
  });

  it("lets administrators and services name another user, a person not, nor a service or the gateway for one", () => {
    assert.equal(ownerOf(asAdmin, bob), bob);
    assert.equal(ownerOf(asAuth, bob), bob);
    assert.throws(() => ownerOf(asAnn, bob), code(Code.PermissionDenied));
    assert.throws(() => ownerOf(paymentForAnn, bob), code(Code.PermissionDenied));
    assert.throws(() => ownerOf(gateway, bob), code(Code.PermissionDenied));
  });

  it("wants a user_id from a service that calls in nobody's name", () => {
    assert.throws(() => ownerOf(asAuth, ""), code(Code.InvalidArgument));
  });

  it("keys request ids by the person, and by the service where there is none", () => {
    assert.equal(callerKey(asAnn), `user:${ann}`);
    assert.equal(callerKey(paymentForAnn), `user:${ann}`);
    assert.equal(callerKey(asAuth), "service:auth");
    assert.throws(() => callerKey(nobody), code(Code.PermissionDenied));
  });

  it("lets nobody act for anybody", () => {
    assert.equal(mayActFor(nobody, ann), false);
    assert.equal(mayActFor(gateway, ann), false);
    assert.equal(mayActFor(asAnn, bob), false);
  });

  it("has no calling user in a service's own call", () => {
    assert.throws(() => callingUser(asAuth), code(Code.PermissionDenied));
    assert.equal(callingUser(asAnn), ann);
  });
});
