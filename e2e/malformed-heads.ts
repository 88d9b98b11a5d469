/** Requests whose head is wrong: their line, headers, framing, and credentials. */
import { bad, get, type Kind, request } from "./malformed-request.ts";

/** Every kind by its name. */
export const headKinds: Readonly<Record<string, Kind>> = {
  oversized: ({ pick, number }) =>
    pick(
      bad(
        request("POST /api/v1/auth/register", `content-type: application/json\r\ncontent-length: ${4_194_305 + number(1e9)}`),
        /^body: expected at most 4194304 bytes/,
        413,
      ),
      bad(request("GET /api/v1/auth/me", `x: ${"y".repeat(16_500 + number(30_000))}`), /^head: expected at most 16 KiB/, 431),
      bad(get(`/api/v1/auth/me?a=${"y".repeat(16_500 + number(30_000))}`, ""), /^head: expected at most 16 KiB/, 431),
      bad(
        request("GET /api/v1/auth/me", Array.from({ length: 3000 }, (_, n) => `h${n}: 1`).join("\r\n")),
        /^head: expected at most 16 KiB/,
        431,
      ),
    ),
  headerJunk: ({ pick }) =>
    bad(
      request(
        "GET /api/v1/auth/me",
        pick(
          "bad name: x",
          "bad\x00: x",
          ": x",
          "novalue",
          "a\x7fb: x",
          "x: a\x00b",
          "x: a\x0bb",
          "x: a\rb",
          " folded: x",
          "x: y\r\n folded",
          "x\t: y",
          "\xe9: x",
        ),
      ),
      /^expected an HTTP\/1\.1 request/,
    ),
  framing: ({ pick }) => {
    const post = (head: string, body = "") =>
      bad(request("POST /api/v1/auth/register", head, body), /^expected an HTTP\/1\.1 request/);
    return pick(
      post(`content-length: ${pick("-1", "x", "1, 2", "0x2", "99999999999999999999999", "+2", "2 2")}`, "{}"),
      post("content-length: 2\r\ncontent-length: 3", "{}"),
      post("content-length: 4\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
      post("transfer-encoding: chunked\r\ncontent-length: 4", "0\r\n\r\n"),
      post(`transfer-encoding: ${pick("chunked, identity", "xchunked", "identity", "chunked, chunked", "gzip, x")}`, "0\r\n\r\n"),
      post(
        "transfer-encoding: chunked",
        pick("zz\r\n{}\r\n", "-1\r\n", "2\r\n{}x\r\n", "fffffffffffffffff\r\n", "0x2\r\n{}\r\n", "2 \n{}\r\n"),
      ),
    );
  },
  requestLine: ({ pick, bytes, number }) =>
    pick(
      bad(
        Buffer.from(
          `${pick("GET /x y HTTP/1.1", "GET", "get /x HTTP/1.1", "GET /x HTTP/9.9", "G\x00T / HTTP/1.1", "GET http:// HTTP/1.1", "\x16\x03\x01\x02\x00\x01")}\r\nhost: a\r\n\r\n`,
          "latin1",
        ),
        /^expected an HTTP\/1\.1 request/,
      ),
      bad(Buffer.concat([Buffer.from([0]), bytes(20 + number(200))]), /^expected an HTTP\/1\.1 request/),
      bad(Buffer.from("GET /api/v1/auth/me HTTP/1.1\r\nconnection: close\r\n\r\n"), /^header host: expected one/),
    ),
  headerValue: ({ pick }, { token }) =>
    pick(
      bad(
        get("/api/v1/auth/me", token, pick("grpc-timeout: 1", "grpc-timeout: 1x", "grpc-timeout: 123456789S")),
        /^header grpc-timeout: expected/,
      ),
      bad(get("/api/v1/auth/me", token, "connect-timeout-ms: -1"), /^header connect-timeout-ms: expected/),
      bad(get("/api/v1/auth/me", token, "x-server-timeout: soon"), /^header x-server-timeout: expected/),
      bad(get("/api/v1/auth/me", token, `expect: ${pick("200-ok", "x")}`), /^header expect: expected 100-continue/, 417),
      bad(get("/api/v1/auth/me", token, "grpc-metadata-x-bin: !"), /^header grpc-metadata-x-bin: expected base64/),
    ),
  credentials: ({ pick, number }, { token }) => {
    const [head = "", payload = "", signature = ""] = token.split(".");
    const forged = pick(
      "nonsense",
      "a.b.c",
      `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`,
      `${Buffer.from('{"alg":"HS256"}').toString("base64url")}.${payload}.${signature}`,
      `${head}.${payload}.${signature.slice(0, number(80))}`,
      `${head}.${payload.slice(0, number(payload.length))}.${signature}`,
    );
    return pick(
      bad(get("/api/v1/auth/me", forged), /^the access token does not verify/, 401),
      bad(
        request(
          "GET /api/v1/auth/me",
          `authorization: ${pick("Basic YTpi", "Bearer", "Bearer a b", "Bearer \xe9", "Digest x=y")}`,
        ),
        /^authorization: expected Bearer and a token/,
        401,
      ),
      bad(
        request("GET /api/v1/auth/me", `x-api-key: ${pick("hk_x", "x", "' or 1=1 --", "k".repeat(300))}`),
        /^x-api-key: no such key/,
        401,
      ),
      bad(
        request(
          "GET /api/v1/auth/me",
          pick("cookie: token=x", "x-heddle-caller: a.b.c", "grpc-metadata-authorization: Bearer x"),
        ),
        /^sign in to call this method/,
        401,
      ),
    );
  },
};
