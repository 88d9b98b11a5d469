import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { codeOfHttpStatus, codeOfReset, nameOfReset, percentDecode, readStatus } from "./status.ts";

describe("readStatus", () => {
  it("is undefined for 0 and 'missing' for none", () => {
    assert.equal(readStatus({ "grpc-status": "0" }), undefined);
    assert.equal(readStatus({}), "missing");
  });

  for (let code = 1; code <= 16; code++) {
    it(`reads grpc-status ${code} as ${Code[code]}`, () => {
      const error = readStatus({ "grpc-status": String(code), "grpc-message": "m" });
      assert.ok(typeof error === "object");
      assert.deepEqual([error.code, error.rawMessage], [code, "m"]);
    });
  }

  for (const text of ["17", "-1", "x", "", "1.5", "0x1"]) {
    it(`reads grpc-status ${JSON.stringify(text)} as UNKNOWN and says what it got`, () => {
      const error = readStatus({ "grpc-status": text, "grpc-message": "m" });
      assert.ok(typeof error === "object");
      assert.deepEqual(
        [error.code, error.rawMessage],
        [Code.Unknown, `grpc-status: expected 0 to 16, got ${JSON.stringify(text)}: m`],
      );
    });
  }

  it("ignores details that are no google.rpc.Status or of another code", () => {
    for (const bin of ["!!!!", "CAU", "/////w"]) {
      const error = readStatus({ "grpc-status": "3", "grpc-status-details-bin": bin });
      assert.ok(typeof error === "object");
      assert.deepEqual(error.details, []);
    }
  });

  it("gives metadata of header and trailer without those of the protocol", () => {
    const error = readStatus(
      { "grpc-status": "3", "x-t": "2", "grpc-message": "m" },
      { ":status": "200", "content-type": "application/grpc", "x-h": ["1", "3"] },
    );
    assert.ok(typeof error === "object");
    assert.deepEqual(
      [...error.metadata],
      [
        ["x-h", "1, 3"],
        ["x-t", "2"],
      ],
    );
  });
});

describe("percentDecode", () => {
  for (const [text, decoded] of [
    ["plain", "plain"],
    ["a%20b", "a b"],
    ["%E2%82%AC", "€"],
    ["100%", "100%"],
    ["%zz%2", "%zz%2"],
    ["%ff", "\ufffd"],
    ["\u00e2\u0082\u00ac%21", "€!"],
  ] as const) {
    it(`reads ${JSON.stringify(text)} as ${JSON.stringify(decoded)}`, () => assert.equal(percentDecode(text), decoded));
  }

  it("undoes encodeURIComponent, and fails for nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => assert.equal(percentDecode(encodeURIComponent(text)), text)),
    );
    fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), (text) => void percentDecode(text)));
  });
});

describe("codes of HTTP and HTTP/2", () => {
  it("maps HTTP statuses as gRPC does, and all others to UNKNOWN", () => {
    const known = new Map([
      [400, 13],
      [401, 16],
      [403, 7],
      [404, 12],
      [429, 14],
      [502, 14],
      [503, 14],
      [504, 14],
    ]);
    for (let status = 100; status < 600; status++)
      assert.equal(codeOfHttpStatus(status), known.get(status) ?? Code.Unknown, `${status}`);
  });

  it("maps RST_STREAM codes as gRPC does, and has a name for each of them", () => {
    const codes = Array.from({ length: 15 }, (_, reset) => codeOfReset(reset));
    assert.deepEqual(codes, [13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13, 2]);
    assert.deepEqual(
      [nameOfReset(0), nameOfReset(7), nameOfReset(13), nameOfReset(14)],
      ["NO_ERROR", "REFUSED_STREAM", "HTTP_1_1_REQUIRED", "error 14"],
    );
  });
});
