/** Requests that HTTP carries and a contract does not allow, each wrong in one way. */
import { gzipSync } from "node:zlib";
import { bad, get, type Kind, register, request, send } from "./malformed-request.ts";

const whole =
  '{"email":"ada@example.com","password":"a long analytical engine","name":"Ada","requestId":"0198a2b0-0000-7000-8000-000000000001"}';

/** Every kind by its name. */
export const bodyKinds: Readonly<Record<string, Kind>> = {
  truncatedJson: ({ number }) =>
    bad(register(whole.slice(0, 1 + number(whole.length - 2))), /^body: .+ \(line \d+, column \d+\)/),
  truncatedBody: ({ number }) => {
    const bytes = request(
      "POST /api/v1/auth/register",
      `content-type: application/json\r\ncontent-length: ${whole.length}`,
      whole.slice(0, number(whole.length)),
    );
    return { ...bad(bytes, /expected an HTTP\/1\.1 request/), cutOff: true };
  },
  truncatedHead: ({ number }) => {
    const head = register(whole).subarray(0, 20 + number(60));
    return { ...bad(head, /expected an HTTP\/1\.1 request/), cutOff: true };
  },
  wrongType: ({ pick }) => {
    const field = pick("email", "password", "name", "requestId");
    const json = `{"${field}":${pick("1", "true", "[]", '{"a":1}', '["x"]', "1e400")}}`;
    return bad(register(json), new RegExp(`^${field === "requestId" ? "request_id" : field}: expected string, got `));
  },
  wrongScalar: ({ pick }, { token, userId }) => {
    const value = pick("x", "1.5", "1e", "--1", "99999999999999999999", "%00", "0x10", "%E2%98%83");
    return bad(get(`/api/v1/users/${userId}/notifications?page_size=${value}`, token), /^page_size: expected a 32-bit integer/);
  },
  wrongEnum: ({ pick }, { token }) =>
    bad(
      send(`{"channel":${pick('"CHANNEL_SMOKE"', '"email"', "1.5", "[]", "true")},"text":{"body":"x"}}`, token),
      /^channel: expected one of CHANNEL_/,
    ),
  brokenRule: ({ pick }, { token, userId }) =>
    pick(
      bad(register(`{"email":"${pick("ada", "@", "a@b@c", "a b@c.de")}","password":"a long analytical engine"}`), /^email: /),
      bad(register('{"email":"ada@example.com","password":"short"}'), /^password: /),
      bad(register(whole.replace("0198a2b0", "nonsense")), /^request_id: /),
      bad(register(whole.replace("Ada", "A\\u0000da")), /U\+0000/),
      bad(send('{"channel":"CHANNEL_SMS","recipient":"12","text":{"body":"x"}}', token), /phone number in E\.164/),
      bad(send('{"channel":"CHANNEL_WEBHOOK","recipient":"file:///etc/passwd","text":{"body":"x"}}', token), /http or https URL/),
      bad(send('{"channel":"CHANNEL_EMAIL","recipient":"a@b.de\\r\\nBcc: c@d.de","text":{"body":"x"}}', token), /email address/),
      bad(
        send('{"channel":"CHANNEL_EMAIL","recipient":"a@b.de","text":{"subject":"a\\r\\nBcc: c@d.de","body":"x"}}', token),
        /^text\.subject: /,
      ),
      bad(send('{"channel":"CHANNEL_EMAIL","recipient":"a@b.de"}', token), /^content: /),
      bad(get(`/api/v1/users/${userId}/notifications?page_size=1001`, token), /^page_size: /),
      bad(
        get(`/api/v1/users/${userId}/notifications?page_token=${pick("x", "W10", "bnVsbA", "WyIxIl0")}`, token),
        /^page_token: /,
      ),
      bad(get("/api/v1/users/me/notifications", token), /^user_id: /),
      bad(get("/api/v1/notifications/1", token), /^notification_id: /),
    ),
  invalidUtf8: ({ number }) => {
    const bytes = Buffer.from(whole);
    bytes[1 + number(bytes.length - 2)] = 0x80 + number(0x80);
    return bad(register(bytes), /^expected a body in UTF-8/);
  },
  deepNesting: ({ pick, number }) =>
    bad(register(pick("[", '{"email":', '{"a":[').repeat(101 + number(5000))), /^body: arrays and objects nest deeper than 100/),
  manyValues: ({ pick }) =>
    bad(register(`[${pick("{},", "[[]],", '{"":0},').repeat(200_000)}0]`), /take more memory than a request may/),
  badJsonEscape: ({ pick }) =>
    bad(
      register(`{"name":"${pick("\\x41", "\\u12g4", "\\ud800", "\\udc00\\ud800", "\\", "\\'", "\x01", "\n")}"}`),
      /^body: .+ \(line \d+, column \d+\)/,
    ),
  duplicateKey: ({ pick }) =>
    bad(
      register(`{"${pick("email", "\\u0065mail")}":"a","email":"b"}`),
      /^body: the key "email" stands here for the second time/,
    ),
  unknownField: ({ pick, number }) => {
    const name = pick(`x${number(1e6)}`, "__proto__", "constructor", "roles", "emailVerified");
    return bad(register(`{"${name}":{"admin":true}}`), new RegExp(`^${name}: auth\\.v1\\.RegisterRequest has no such field`));
  },
  unknownQuery: ({ pick, number }, { token }) => {
    const name = pick(`q${number(1e6)}`, "__proto__", "a[b]", "user.roles", "page_size[0]");
    return bad(
      get(`/api/v1/auth/sessions?${name}=1`, token),
      new RegExp(`^${name.replace(/[[\].]/g, "\\$&")}: |^page_size\\[0\\]: `),
    );
  },
  badPathEscape: ({ pick }, { token }) =>
    bad(
      get(`/api/v1/notifications/${pick("%", "%f", "%zz", "%ff", "%c3%28", "%ed%a0%80", "%00%")}`, token),
      /^path: expected percent escapes|^path: expected two hexadecimal digits/,
    ),
  badQueryEscape: ({ pick }, { token }) =>
    bad(
      get(`/api/v1/auth/sessions?page_token=${pick("%", "%g0", "%80", "%e2%82")}`, token),
      /^page_token: expected percent escapes that are UTF-8/,
    ),
  unknownPath: ({ pick, number }, { token }) =>
    bad(
      get(
        pick(
          `/api/v2/${number(1e6)}`,
          "//api/v1/auth/me",
          "/api/v1/auth/me/",
          "/auth.v1.AuthService/ExchangeApiKey",
          "/api/v1/../v1/auth/me",
          "/.git/config",
        ),
        token,
      ),
      /^the path ".+" does not exist/,
      404,
    ),
  wrongMethod: ({ pick }) =>
    bad(
      request(`${pick("PUT", "DELETE", "PATCH", "TRACE", "LINK", "GET")} /api/v1/auth/login`),
      /is not among the methods of this path/,
      405,
    ),
  contentType: ({ pick }) =>
    pick(
      bad(
        register(
          "{}",
          `content-type: ${pick("text/xml", "a/b/c", "\\", "application/json;charset=utf-16", "multipart/form-data; boundary=x")}`,
        ),
        /^content-type: expected/,
        415,
      ),
      bad(
        register("{}", `content-type: application/json\r\ncontent-encoding: ${pick("compress", "gzip,gzip,gzip,gzip", "x")}`),
        /^content-encoding: expected/,
        415,
      ),
      bad(
        register("{}", `content-type: application/json\r\ncontent-encoding: ${pick("gzip", "br", "deflate")}`),
        /^body: expected (gzip|br|deflate)/,
      ),
    ),
  inflated: () =>
    bad(
      register(gzipSync(Buffer.alloc(5_000_000, " ")), "content-type: application/json\r\ncontent-encoding: gzip"),
      /^body: expected it to expand at most a hundredfold/,
      413,
    ),
  wireFormat: ({ pick, bytes, number }) =>
    bad(
      register(
        pick(
          Buffer.from([0xff]),
          Buffer.from([0x0a, 0x05, 0x61]),
          Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
          Buffer.alloc(2000, 0x7b),
          Buffer.concat([Buffer.from([0x07]), bytes(number(50))]),
        ),
        "content-type: application/x-protobuf",
      ),
      /^expected auth\.v1\.RegisterRequest in the protobuf wire format/,
    ),
};
