import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { encodeFrame, FrameDecoder } from "./framing.ts";

/** Pushes chunks until one is refused. */
function decode(chunks: readonly Uint8Array[], maxBytes = 1000, encoding = "identity") {
  const decoder = new FrameDecoder(maxBytes, encoding);
  const messages: Uint8Array[] = [];
  for (const chunk of chunks) {
    const mistake = decoder.push(Buffer.from(chunk), (message) => messages.push(message));
    if (mistake !== undefined) return { messages, mistake, complete: decoder.complete };
  }
  return { messages, mistake: undefined, complete: decoder.complete };
}

describe("framing", () => {
  it("encodes 2 bytes as flag 0, length 2 and the bytes", () => {
    assert.deepEqual([...encodeFrame(new Uint8Array([7, 8]))], [0, 0, 0, 0, 2, 7, 8]);
  });

  it("gives back any messages however their bytes are cut", () => {
    const message = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat({ max: 400 }), { maxLength: 12 }), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(encodeFrame));
        const points = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const chunks = points.slice(1).map((end, index) => bytes.subarray(points[index] ?? 0, end));
        const result = decode(chunks);
        assert.deepEqual(
          result.messages,
          messages.map((each) => new Uint8Array(each)),
        );
        assert.deepEqual([result.mistake, result.complete], [undefined, true]);
      }),
    );
  });

  it("is not complete within a prefix or a message", () => {
    assert.equal(decode([new Uint8Array([0, 0])]).complete, false);
    assert.equal(decode([new Uint8Array([0, 0, 0, 0, 2, 1])]).complete, false);
  });

  it("refuses a message of 11 bytes where 10 are allowed, from its prefix alone", () => {
    const { mistake } = decode([new Uint8Array([0, 0, 0, 0, 11])], 10);
    assert.deepEqual(
      [mistake?.code, mistake?.rawMessage],
      [Code.ResourceExhausted, "response message: expected at most 10 bytes, got 11 bytes"],
    );
  });

  it("refuses a length of 4 GiB - 1 without allocating it", () => {
    assert.equal(decode([new Uint8Array([0, 255, 255, 255, 255])]).mistake?.code, Code.ResourceExhausted);
  });

  it("refuses a flag of 2, and a flag of 1 without an encoding", () => {
    assert.equal(decode([new Uint8Array([2, 0, 0, 0, 0])]).mistake?.code, Code.Internal);
    assert.equal(decode([new Uint8Array([1, 0, 0, 0, 0])]).mistake?.code, Code.Internal);
  });

  it("refuses 5000 bytes that come gzipped as less than 1000, and bytes that are not gzip", () => {
    const bomb = encodeFrame(gzipSync(Buffer.alloc(5000)));
    bomb[0] = 1;
    assert.ok(bomb.length < 1000);
    assert.equal(decode([bomb], 1000, "gzip").mistake?.code, Code.ResourceExhausted);
    assert.equal(decode([new Uint8Array([1, 0, 0, 0, 1, 9])], 1000, "gzip").mistake?.code, Code.Internal);
  });

  it("gives plain Uint8Arrays, not Buffers", () => {
    assert.equal(decode([encodeFrame(new Uint8Array([1]))]).messages[0]?.constructor, Uint8Array);
  });
});
