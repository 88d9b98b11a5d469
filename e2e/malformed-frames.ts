/** gRPC calls that are wrong in one way each, and bytes that are no HTTP/2. */
import type { Dice } from "./random.ts";

/** A call that HTTP/2 carries and gRPC does not allow, or whose message is none. */
export interface MalformedCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** What grpc-message, or the HTTP status of an answer that is no gRPC, must say. */
  readonly names: RegExp;
}

const login = "/auth.v1.AuthService/Login";
const good = Buffer.from([0x0a, 1, 0x61, 0x12, 1, 0x62]);

/** Every kind of call by its name. */
export const calls: Readonly<Record<string, (dice: Dice) => MalformedCall>> = {
  noMessage: () => call(Buffer.alloc(0), /missing input message/),
  shortPrefix: ({ number }) => call(Buffer.alloc(1 + number(4)), /incomplete envelope/),
  shortMessage: ({ number }) => call(message(good, 0, good.length + 1 + number(1000)), /incomplete envelope/),
  endlessMessage: ({ number }) => call(message(good, 0, 4_194_305 + number(4_000_000_000)), /message size \d+ is larger than/),
  flags: ({ pick }) => call(message(good, pick(1, 3, 0x7f)), /do not know how to decompress/),
  noCompression: ({ bytes }) =>
    call(message(Buffer.concat([Buffer.from([0]), bytes(20)]), 1), /decompression failed/, { "grpc-encoding": "gzip" }),
  unknownCompression: ({ pick }) =>
    call(message(good, 1), /unknown compression/, { "grpc-encoding": pick("snappy", "x", "zstd") }),
  twoMessages: () => call(Buffer.concat([message(good), message(good)]), /extra input message/),
  badTag: ({ pick }) => call(message(Buffer.from([pick(0x07, 0x0f, 0x00, 0x06)])), /^parse binary: illegal tag/),
  badVarint: ({ pick }) =>
    call(
      message(Buffer.from(pick([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff], [0x0a, 0x05, 0x61], [0x09]))),
      /^parse binary: /,
    ),
  badUtf8: ({ pick }) =>
    call(message(Buffer.from([0x0a, 2, ...pick([0xc3, 0x28], [0xff, 0xfe], [0xed, 0xa0])])), /not valid for encoding utf-8/),
  deepGroups: ({ number }) => call(message(Buffer.alloc(200 + number(5000), 0x7b)), /^parse binary: /),
  brokenRule: ({ pick, number }) =>
    call(
      message(pick(Buffer.alloc(0), Buffer.from([0x0a, 1, 0x61]), text(1, "a".repeat(300 + number(300))))),
      /^email: |^password: /,
    ),
  forbiddenCharacter: () => call(message(Buffer.concat([text(1, "a\0b"), text(2, "x")])), /U\+0000/),
  timeout: ({ pick }) =>
    call(message(good), /invalid grpc timeout value/, { "grpc-timeout": pick("x", "-1S", "1", "123456789S", "1.5S", "") }),
  deadline: ({ pick }) => call(message(good), /the deadline had passed/, { "grpc-timeout": pick("0n", "0S") }),
  contentType: ({ pick }) =>
    call(message(good), /^415$/, { "content-type": pick("text/plain", "application/grpc+xml", "x", "application/grpcx") }),
  unknownMethod: ({ pick, number }) =>
    call(
      message(good),
      /^unknown method \//,
      {},
      pick(
        "/",
        "//",
        `/x${number(1e6)}`,
        `${login}/`,
        "/auth.v1.AuthService/Nope",
        "/../../etc/passwd",
        "/__proto__/constructor",
      ),
    ),
  serviceOnly: ({ pick }) =>
    call(
      message(text(1, "x")),
      /^only services of the mesh may call this method/,
      pick<Record<string, string>>({}, { "x-heddle-caller": "a.b.c" }, { "x-heddle-caller": "" }),
      "/auth.v1.AuthService/ExchangeApiKey",
    ),
  credentials: ({ pick }) =>
    call(
      message(Buffer.alloc(0)),
      /^sign in to call this method|^the access token does not verify|^authorization: expected Bearer/,
      pick<Record<string, string>>(
        {},
        { authorization: "Bearer a.b.c" },
        { authorization: "Basic x" },
        { "x-heddle-caller": "x" },
      ),
      "/auth.v1.AuthService/GetMe",
    ),
};

/** Bytes for a connection of its own: nothing needs to come back, and nothing may break. */
export const garbage: Readonly<Record<string, (dice: Dice) => Buffer>> = {
  noise: ({ bytes, number }) => Buffer.concat([Buffer.from([0x80 + number(0x80)]), bytes(number(400))]),
  halfPreface: ({ number }) => preface.subarray(0, 1 + number(preface.length - 1)),
  noiseAfterPreface: ({ bytes, number }) => Buffer.concat([preface, bytes(9 + number(400))]),
  settings: ({ pick }) =>
    opened(
      pick(
        frame(4, 0, 1),
        frame(4, 0, 0, Buffer.alloc(5)),
        frame(4, 1, 0, Buffer.alloc(6)),
        frame(4, 0, 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff])),
      ),
    ),
  frameSize: ({ number }) =>
    opened(Buffer.concat([Buffer.from([0xff, 0xff, 0xff, number(10), 0, 0, 0, 0, 1]), Buffer.alloc(100)])),
  headerBlock: ({ bytes, number }) => opened(frame(1, 5, 1, bytes(1 + number(200)))),
  bigHeaders: ({ number }) =>
    opened(
      ...Array.from({ length: 12 }, (_, n) => frame(n === 0 ? 1 : 9, 0, 1, field(`x${n}`, "y".repeat(15_000 + number(1000))))),
    ),
  endlessHeaders: ({ number }) =>
    opened(frame(1, 0, 1, requestFields), ...Array.from({ length: 50 + number(200) }, () => frame(9, 0, 1))),
  rapidReset: ({ number }) =>
    opened(
      ...Array.from({ length: 100 + number(200) }, (_, n) =>
        Buffer.concat([frame(1, 5, 2 * n + 1, requestFields), frame(3, 0, 2 * n + 1, Buffer.from([0, 0, 0, 8]))]),
      ),
    ),
  strayFrames: ({ pick, number }) => opened(frame(pick(0, 2, 3, 7, 8, 9, 200), number(256), number(8), Buffer.alloc(number(12)))),
  streamIds: ({ pick }) => opened(frame(1, 5, pick(2, 0, 0x7fffffff), requestFields), frame(1, 5, 1, requestFields)),
  window: ({ pick }) =>
    opened(frame(1, 4, 1, requestFields), frame(8, 0, pick(0, 1), Buffer.from(pick([0, 0, 0, 0], [0x7f, 0xff, 0xff, 0xff])))),
  padding: () => opened(frame(1, 4, 1, requestFields), frame(0, 8, 1, Buffer.from([200, 1, 2]))),
  pings: ({ number }) => opened(...Array.from({ length: 200 + number(800) }, () => frame(6, 0, 0, Buffer.alloc(8)))),
  http1: ({ pick }) =>
    Buffer.from(
      pick(
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.1\r\nhost: \r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "\r\n\r\n\r\n",
      ),
    ),
  tls: ({ bytes }) => Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), bytes(200)]),
};

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function call(body: Buffer, names: RegExp, headers: Readonly<Record<string, string>> = {}, path = login): MalformedCall {
  return { path, headers, body, names };
}

function message(bytes: Buffer, flags = 0, length = bytes.length): Buffer {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** A string field of a message. */
function text(number: number, value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

function opened(...frames: Buffer[]): Buffer {
  return Buffer.concat([preface, frame(4, 0, 0), ...frames]);
}

/** A frame of RFC 9113, 4.1. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A literal field without indexing (RFC 7541, 6.2.2), its texts as they are. */
function field(name: string, value: string): Buffer {
  const length = value.length < 127 ? [value.length] : [127, ...varint(value.length - 127)];
  return Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from(length), Buffer.from(value)]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
}

/** `:method: POST`, `:scheme: http` from the static table, and the rest of a gRPC request. */
const requestFields = Buffer.concat([
  Buffer.from([0x83, 0x86]),
  field(":path", "/auth.v1.AuthService/GetJwks"),
  field(":authority", "heddle"),
  field("content-type", "application/grpc"),
  field("te", "trailers"),
]);
