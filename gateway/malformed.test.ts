import assert from "node:assert/strict";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Requests that are wrong, each in one way of its kind; `at` picks among a kind's variants. */
const kinds: Readonly<Record<string, (pick: <T>(items: readonly T[]) => T, number: (below: number) => number) => Buffer>> = {
  truncatedJson: (_, number) => post(whole.slice(0, 1 + number(whole.length - 2))),
  wrongType: (pick) =>
    post(
      `{"${pick(["string", "bool", "int32", "child", "strings", "color", "timestamp"])}":${pick(["[[]]", '{"a":1}', "1.5", "[null]"])}}`,
    ),
  unknownField: (_, number) => post(`{"child":{"unknown_${number(1000)}":1}}`),
  flippedByte: (_, number) => {
    const bytes = Buffer.from(whole);
    bytes[number(bytes.length)] = 0x80 + number(0x80);
    return post(bytes);
  },
  deep: (pick, number) => post(pick(["[", '{"child":', '{"struct":{"a":[']).repeat(101 + number(5000))),
  oversized: (_, number) => post(`{"string":"${"x".repeat(20_001 + number(50_000))}"}`),
  badEscape: (pick, number) =>
    request(`GET /v1/echo/strings/${"a".repeat(number(20))}${pick(["%", "%f", "%zz", "%ff", "%c3%28", "%ed%a0%80"])}`),
  badQuery: (pick, number) =>
    request(
      `GET /v1/echo?${pick(["int32=", "bool=", "color=", "timestamp=", "int64=9"])}${pick(["x", "%00", "1e", "99999999999999999999999", "--1"])}${number(9)}`,
    ),
  badQueryEscape: (pick) => request(`GET /v1/echo?string=${pick(["%", "%g0", "%80", "%e2%82"])}`),
  unknownQuery: (_, number) => request(`GET /v1/echo?q${number(1e6)}=1`),
  unknownPath: (_, number) => request(`GET /v2/${number(1e6)}`),
  wrongMethod: (pick) => request(`${pick(["PUT", "DELETE", "PATCH", "TRACE", "LINK"])} /v1/echo`),
  slashes: (_, number) => request(`GET ${"/".repeat(2 + number(8000))}`),
  contentType: (pick) =>
    post("{}", `content-type: ${pick(["text/xml", "a/b/c", "\\", "application/json;charset=utf-16", "application/jso"])}`),
  encoding: (pick) =>
    post(
      "{}",
      `content-type: application/json\r\ncontent-encoding: ${pick(["gzip", "br", "deflate", "compress", "gzip,gzip,gzip,gzip"])}`,
    ),
  timeout: (pick) =>
    request(
      "GET /v1/echo",
      `${pick(["grpc-timeout: 1", "grpc-timeout: 1x", "connect-timeout-ms: -1", "x-server-timeout: soon"])}`,
    ),
  headerName: (pick) => request("GET /v1/echo", `${pick(["bad name: x", "bad\x00: x", ": x", "novalue", "a\x7fb: x"])}`),
  headerValue: (pick) => request("GET /v1/echo", `x: a${pick(["\x00", "\x01", "\x0b"])}b`),
  hugeHeader: (_, number) => request("GET /v1/echo", `x: ${"y".repeat(16_500 + number(50_000))}`),
  noHost: () => Buffer.from("GET /v1/echo HTTP/1.1\r\nconnection: close\r\n\r\n"),
  noHttp: (_, number) => Buffer.from(Array.from({ length: 5 + number(200) }, () => number(256))),
  badLength: (pick) =>
    Buffer.from(
      `POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: ${pick(["-1", "x", "1, 2", "99999999999999999999999"])}\r\n\r\n{}`,
    ),
  badChunks: (pick) =>
    Buffer.from(
      `POST /v1/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${pick(["zz\r\n{}\r\n", "-1\r\n", "2\r\n{}x\r\n", "fffffffffffffffff\r\n"])}`,
    ),
  smuggled: () =>
    Buffer.from("POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
  expectation: () => request("GET /v1/echo", "expect: 200-ok"),
  bodyWhereNone: (_, number) => request("GET /v1/echo", `content-length: ${1 + number(9)}`, "123456789x"),
  twice: (pick) => request(`GET /v1/echo?${pick(["string=a&string=b", "left=a&right=1", "int32=1&int32=1"])}`),
};

const whole =
  '{"string":"abc","int32":5,"child":{"strings":["a","b"],"stringMap":{"k":"v"}},"color":"COLOR_RED","timestamp":"2030-01-01T00:00:00Z"}';

describe("gateway: 2,000 malformed requests", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ maxBodyBytes: 20_000 });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  for (const [kind, make] of Object.entries(kinds)) {
    it(`answers 75 of the kind ${kind} with 4xx and a Status that says what is wrong`, async () => {
      const random = randomFrom([...kind].reduce((hash, letter) => hash * 31 + letter.charCodeAt(0), 7));
      const number = (below: number) => Math.floor(random() * below);
      const pick = <T>(items: readonly T[]): T => items[number(items.length)] ?? assert.fail();
      for (let turn = 0; turn < 75; turn++) {
        const bytes = make(pick, number);
        const answer = await gateway.raw(bytes, "hold");
        const shown = `${JSON.stringify(bytes.toString("latin1").slice(0, 300))} got ${JSON.stringify(answer.slice(0, 500))}`;
        const [, status = "", body = ""] = /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n(.*)$/s.exec(answer) ?? [];
        assert.match(status, /^4\d\d$/, shown);
        const { code, message } = JSON.parse(body) as { code: number; message: string };
        assert.ok(Number.isInteger(code) && code > 0 && message.length > 10, shown);
      }
    });
  }

  it("still serves after all of them", async () => {
    assert.equal((await gateway.send("POST /v1/echo", { body: whole })).status, 200);
  });

  it("reached no backend with any of them", () => {
    assert.equal(gateway.received.length, 1);
  });
});

function post(body: string | Uint8Array, headers = "content-type: application/json"): Buffer {
  return request("POST /v1/echo", `${headers}\r\ncontent-length: ${Buffer.byteLength(body)}`, body);
}

function request(line: string, headers = "x: y", body: string | Uint8Array = ""): Buffer {
  return Buffer.concat([
    Buffer.from(`${line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${headers}\r\n\r\n`, "latin1"),
    Buffer.from(body),
  ]);
}
