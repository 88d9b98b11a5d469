import assert from "node:assert/strict";
import { preferredEncoding, preferredType } from "./negotiate.ts";

const offers = ["application/x-ndjson", "text/event-stream", "application/json"] as const;

describe("gateway/negotiate", () => {
  const types: [accept: string | undefined, offer: string | undefined][] = [
    [undefined, "application/x-ndjson"],
    ["", "application/x-ndjson"],
    ["*/*", "application/x-ndjson"],
    ["text/event-stream", "text/event-stream"],
    ["application/json, text/plain, */*", "application/x-ndjson"],
    ["application/json, */*;q=0.8", "application/json"],
    ["text/*", "text/event-stream"],
    ["application/json;q=0.1, text/event-stream;q=0.9", "text/event-stream"],
    ["APPLICATION/JSON; charset=utf-8", "application/json"],
    ["application/x-ndjson;q=0, */*", "text/event-stream"],
    ["text/html", undefined],
    ["application/json;q=0", undefined],
  ];
  for (const [accept, offer] of types) {
    it(`answers Accept: ${accept} with ${offer}`, () => {
      assert.equal(preferredType(accept, offers), offer);
    });
  }

  const encodings: [accept: string | undefined, coding: string | undefined][] = [
    [undefined, undefined],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["br;q=0.5, gzip", "gzip"],
    ["*", "br"],
    ["identity", undefined],
    ["gzip;q=0", undefined],
  ];
  for (const [accept, coding] of encodings) {
    it(`encodes for Accept-Encoding: ${accept} as ${coding}`, () => {
      assert.equal(preferredEncoding(accept, ["br", "gzip"]), coding);
    });
  }
});
