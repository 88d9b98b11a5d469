import assert from "node:assert/strict";
import { parsePathTemplate } from "./path-template.ts";
import { compileRouter, RouteConflict } from "./router.ts";

/** Rows are "METHOD template"; the owner is the row. */
function table(...rows: string[]) {
  return compileRouter(
    rows.map((row) => {
      const [httpMethod = "", text = ""] = row.split(" ");
      const template = parsePathTemplate(text, { allowSuffixAfterDeepWildcard: true });
      return { httpMethod, template, target: row, owner: row };
    }),
  );
}

/** "row value value", or "405 A, B", "404", "400 reason". */
function answer(router: ReturnType<typeof table>, method: string, path: string): string {
  const found = router.match(method, path);
  switch (found.kind) {
    case "found":
      return [found.entry.target, ...found.values.map((value) => JSON.stringify(value))].join(" ");
    case "other-methods":
      return `405 ${found.allow.join(", ")}`;
    case "not-found":
      return "404";
    case "malformed":
      return `400 ${found.reason}`;
  }
}

describe("gateway/router", () => {
  const router = table(
    "GET /v1/users",
    "POST /v1/users",
    "GET /v1/users/{id}",
    "DELETE /v1/users/{id}",
    "GET /v1/users/me",
    "GET /v1/users/{id}/keys/{key}",
    "POST /v1/users/{id}:lock",
    "POST /v1/users:batch",
    "GET /v1/{name=projects/*/items/*}",
    "GET /v1/files/{path=**}",
    "GET /v1/files/{path=**}/raw",
    "GET /v1/files/{path=**}:stat",
    "PUT /v1/files/special",
    "* /v1/any",
    "HEAD /v1/head",
    "GET /v1/head",
    "OPTIONS /v1/options",
    "GET /v1/a%2Fb/{x}",
    "GET /deep/x/y/z",
    "GET /deep/{a}/y/w",
    "GET /deep/**",
    "GET /two/{a=a/*}/mid/{b=**}",
    "GET /two/{a=**}/{b=end}",
  );

  const cases: [method: string, path: string, expected: string][] = [
    ["GET", "/v1/users", "GET /v1/users"],
    ["POST", "/v1/users", "POST /v1/users"],
    ["GET", "/v1/users/7", 'GET /v1/users/{id} "7"'],
    ["GET", "/v1/users/me", "GET /v1/users/me"],
    ["DELETE", "/v1/users/me", 'DELETE /v1/users/{id} "me"'],
    ["HEAD", "/v1/users/7", 'GET /v1/users/{id} "7"'],
    ["HEAD", "/v1/head", "HEAD /v1/head"],
    ["PUT", "/v1/users/7", "405 DELETE, GET, HEAD, OPTIONS"],
    ["PUT", "/v1/users/me", "405 DELETE, GET, HEAD, OPTIONS"],
    ["OPTIONS", "/v1/users", "405 GET, HEAD, OPTIONS, POST"],
    ["OPTIONS", "/v1/options", "OPTIONS /v1/options"],
    ["PATCH", "/v1/any", "* /v1/any"],
    ["PROPFIND", "/v1/any", "* /v1/any"],
    ["GET", "/v1/users/", "404"],
    ["GET", "/v1//users", "404"],
    ["GET", "/", "404"],
    ["GET", "/v2/users", "404"],
    ["GET", "/v1/users//keys/1", "404"],
    ["GET", "/v1/users/a%2Fb", 'GET /v1/users/{id} "a/b"'],
    ["GET", "/v1/users/a+b", 'GET /v1/users/{id} "a+b"'],
    ["GET", "/v1/users/%C3%A9%20", 'GET /v1/users/{id} "é "'],
    ["GET", "/v1/users/%6De", "GET /v1/users/me"],
    ["GET", "/v1/users/..", 'GET /v1/users/{id} ".."'],
    ["GET", "/v1/projects/a/items/b%2Fc%20d", 'GET /v1/{name=projects/*/items/*} "projects/a/items/b%2Fc d"'],
    ["GET", "/two/a/x/mid", 'GET /two/{a=a/*}/mid/{b=**} "a/x" ""'],
    ["GET", "/two/a/x/mid/y/z", 'GET /two/{a=a/*}/mid/{b=**} "a/x" "y/z"'],
    ["GET", "/two/y/z/end", 'GET /two/{a=**}/{b=end} "y/z" "end"'],
    ["GET", "/v1/files", 'GET /v1/files/{path=**} ""'],
    ["GET", "/v1/files/a/b/c", 'GET /v1/files/{path=**} "a/b/c"'],
    ["GET", "/v1/files/a//c", 'GET /v1/files/{path=**} "a//c"'],
    ["GET", "/v1/files/a%2fb/%41", 'GET /v1/files/{path=**} "a%2fb/A"'],
    ["GET", "/v1/files/a/b/raw", 'GET /v1/files/{path=**}/raw "a/b"'],
    ["GET", "/v1/files/raw", 'GET /v1/files/{path=**}/raw ""'],
    ["GET", "/v1/files/a/b:stat", 'GET /v1/files/{path=**}:stat "a/b"'],
    ["GET", "/v1/files:stat", 'GET /v1/files/{path=**}:stat ""'],
    ["GET", "/v1/files/a:other", 'GET /v1/files/{path=**} "a:other"'],
    ["GET", "/v1/files/special", 'GET /v1/files/{path=**} "special"'],
    ["DELETE", "/v1/files/special", "405 GET, HEAD, OPTIONS, PUT"],
    ["POST", "/v1/users/7:lock", 'POST /v1/users/{id}:lock "7"'],
    ["POST", "/v1/users/7:8:lock", 'POST /v1/users/{id}:lock "7:8"'],
    ["GET", "/v1/users/7:lock", 'GET /v1/users/{id} "7:lock"'],
    ["GET", "/v1/users/bar:123", 'GET /v1/users/{id} "bar:123"'],
    ["GET", "/v1/users/7%3Alock", 'GET /v1/users/{id} "7:lock"'],
    ["PUT", "/v1/users/7:lock", "405 DELETE, GET, HEAD, OPTIONS, POST"],
    ["POST", "/v1/users:batch", "POST /v1/users:batch"],
    ["POST", "/v1/users/:lock", "405 DELETE, GET, HEAD, OPTIONS"],
    ["GET", "/v1/a%2Fb/1", 'GET /v1/a%2Fb/{x} "1"'],
    ["GET", "/v1/a/b/1", "404"],
    ["GET", "/deep/x/y/z", "GET /deep/x/y/z"],
    ["GET", "/deep/x/y/w", 'GET /deep/{a}/y/w "x"'],
    ["GET", "/deep/x/y/q", "GET /deep/**"],
    ["GET", "/v1/users/%", '400 path: expected two hexadecimal digits after "%" at character 11, got "%"'],
    ["GET", "/v1/users/%zz", '400 path: expected two hexadecimal digits after "%" at character 11, got "%zz"'],
    ["GET", "/v1/users/%ff", "400 path: expected percent escapes that are UTF-8, got bytes that are not"],
    ["GET", "/v1/users/%C3/%A9", "400 path: expected percent escapes that are UTF-8, got bytes that are not"],
    ["GET", "/v1/users/é", "400 path: expected percent escapes for all but ASCII at character 11"],
    ["GET", "*", '400 path: expected it to start with a slash, got "*"'],
  ];
  for (const [method, path, expected] of cases) {
    it(`answers ${method} ${path} with ${expected}`, () => {
      assert.equal(answer(router, method, path), expected);
    });
  }

  it("refuses two rows of one method and shape, whatever the variables are called", () => {
    assert.throws(
      () => table("GET /v1/{a}/b", "GET /v1/{c=*}/b"),
      (error) => {
        assert.ok(error instanceof RouteConflict);
        assert.deepEqual(error.mistakes, [
          'GET /v1/{a}/b and GET /v1/{c=*}/b both map GET "/v1/{a}/b" and "/v1/{c=*}/b" (both /v1/*/b): one request cannot reach two methods',
        ]);
        return true;
      },
    );
  });

  it("tells a wildcard from its escape: /a/* and /a/%2A", () => {
    assert.equal(answer(table("GET /a/*", "GET /a/%2A"), "GET", "/a/*"), "GET /a/%2A");
  });

  it("prefers a candidate that serves the method to a nearer one that does not", () => {
    const both = table("POST /a/b", "GET /a/{x}", "DELETE /**");
    assert.equal(answer(both, "GET", "/a/b"), 'GET /a/{x} "b"');
    assert.equal(answer(both, "DELETE", "/a/b"), "DELETE /**");
    assert.equal(answer(both, "PUT", "/a/b"), "405 DELETE, GET, HEAD, OPTIONS, POST");
  });

  for (const path of [
    "/".repeat(64_000),
    "/a".repeat(64_000),
    `/v1/files${"/".repeat(64_000)}x`,
    `/v1/files${"/%41".repeat(20_000)}`,
  ]) {
    it(`answers ${path.slice(0, 12)}... of ${path.length} characters within 200 ms`, () => {
      const start = performance.now();
      router.match("GET", path);
      assert.ok(performance.now() - start < 200);
    });
  }

  it("visits each node once however many ways there are to fork", () => {
    const rows: string[] = [];
    for (let bits = 0; bits < 1024; bits++) {
      rows.push(`GET /${Array.from({ length: 10 }, (_, bit) => ((bits >> bit) & 1 ? "a" : "*")).join("/")}/end${bits}`);
    }
    const forks = table(...rows);
    const start = performance.now();
    assert.equal(answer(forks, "GET", `${"/a".repeat(10)}/end`), "404");
    assert.equal(answer(forks, "GET", `${"/a".repeat(10)}/end0`), "GET /*/*/*/*/*/*/*/*/*/*/end0");
    assert.ok(performance.now() - start < 100);
  });
});
