import assert from "node:assert/strict";
import { from } from "#mesh/errors.ts";
import { requestMetadata, responseHeaders } from "./metadata.ts";

describe("gateway/metadata", () => {
  it("passes Grpc-Metadata-*, Accept-Language and Last-Event-ID, and nothing else", () => {
    const headers = {
      "grpc-metadata-tenant": "acme",
      "grpc-metadata-key-bin": "AAE=",
      "accept-language": "de",
      "last-event-id": "7",
      "x-tenant": "other",
      cookie: "a=b",
      authorization: "Bearer t",
    };
    assert.deepEqual(Object.fromEntries(requestMetadata(headers, false)), {
      tenant: "acme",
      "key-bin": "AAE=",
      "accept-language": "de",
      "last-event-id": "7",
    });
  });

  for (const name of [
    "authorization",
    "x-heddle-caller",
    "grpc-timeout",
    "traceparent",
    "x-correlation-id",
    "te",
    "host",
    "content-type",
    "x-api-key",
    "connection",
  ]) {
    it(`drops Grpc-Metadata-${name}`, () => {
      assert.deepEqual([...requestMetadata({ [`grpc-metadata-${name}`]: "x" }, false)], []);
    });
  }

  it("drops what is no metadata: a name with a blank, a value beyond ASCII", () => {
    assert.deepEqual([...requestMetadata({ "grpc-metadata-a!": "x", "grpc-metadata-b": "é", "grpc-metadata-": "x" }, false)], []);
  });

  it("refuses a -bin that is not base64", () => {
    assert.throws(
      () => requestMetadata({ "grpc-metadata-k-bin": "$" }, false),
      (error) => {
        return from(error).rawMessage === "header grpc-metadata-k-bin: expected base64, since its name ends in -bin";
      },
    );
  });

  it("passes Authorization when the backend judges it", () => {
    assert.deepEqual(Object.fromEntries(requestMetadata({ authorization: "Basic x" }, true)), { authorization: "Basic x" });
  });

  it("shows a backend's metadata under the prefix, without what the transport and the gateway own", () => {
    const metadata = new Headers({
      "x-answer": "yes",
      "content-type": "application/grpc",
      "grpc-status": "0",
      "x-http-code": "201",
      "set-cookie": "a",
    });
    assert.deepEqual(responseHeaders(metadata), { "grpc-metadata-x-answer": "yes" });
  });
});
