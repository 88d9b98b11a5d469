import assert from "node:assert/strict";
import { addMetadata, fieldOf, headersOf, metadataOf } from "./fields.ts";
import type { OutgoingFields } from "./wire.ts";

describe("fields", () => {
  it("takes a caller's metadata without what belongs to HTTP/2, gRPC and the mesh", () => {
    const fields: OutgoingFields = {};
    const own = { "X-A": "1", "x-b-bin": "AA" };
    const reserved = {
      connection: "close",
      te: "x",
      "content-type": "x",
      "grpc-timeout": "1H",
      "X-Heddle-Caller": "me",
      "user-agent": "x",
      host: "h",
    };
    addMetadata(fields, new Headers({ ...own, ...reserved }));
    assert.deepEqual(fields, { "x-a": "1", "x-b-bin": "AA" });
  });

  it("shows all but pseudo-headers to callers, and metadata without the protocol's fields", () => {
    const came = {
      ":status": "200",
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
      "set-cookie": ["a", "b"],
      "x-a": "1",
    };
    assert.deepEqual([...headersOf(came).keys()], ["content-type", "grpc-encoding", "set-cookie", "set-cookie", "x-a"]);
    assert.deepEqual([...metadataOf(came).keys()], ["set-cookie", "set-cookie", "x-a"]);
  });

  it("joins a repeated field", () => {
    assert.deepEqual([fieldOf({ a: ["1", "2"] }, "a"), fieldOf({ a: "1" }, "a"), fieldOf({}, "a")], ["1, 2", "1", undefined]);
  });
});
