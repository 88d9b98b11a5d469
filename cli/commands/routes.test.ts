import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandContext, commandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { paintFor } from "../terminal/paint.ts";
import { openApiText, openapi } from "./openapi.ts";
import { routeExplain } from "./route-explain.ts";
import { type RouteRow, routes } from "./routes.ts";

const root = join(import.meta.dirname, "../..");
const echo = join(root, "gateway/fixtures/echo.binpb");

/** Runs a command; what it wrote, and its exit code. */
async function run(work: (context: CommandContext) => Promise<number>): Promise<{ code: number; text: string }> {
  let text = "";
  const out = { isTTY: false, write: (part: string) => (text += part) } as unknown as NodeJS.WriteStream;
  const code = await work({ ...commandContext(root), out, paint: paintFor({}, {}) });
  return { code, text };
}

describe("heddle routes", () => {
  it("prints the platform's table, a route a line", async () => {
    const { code, text } = await run((context) => routes(context, {}));
    const [head, ...lines] = text.trimEnd().split("\n");
    assert.equal(code, 0);
    assert.deepEqual(head?.split(/ +/), ["method", "path", "rpc", "body", "response_body", "access", "accept"]);
    const me = lines.find((line) => line.startsWith("PATCH   /api/v1/auth/me "));
    const words = ["PATCH", "/api/v1/auth/me", "auth.v1.AuthService/UpdateMe", "user", "user", "authenticated, no API keys"];
    assert.deepEqual(me?.split(/ {2,}/), words);
  });

  it("prints another image's as JSON", async () => {
    const { text } = await run((context) => routes(context, { contracts: echo, json: true }));
    const rows = JSON.parse(text) as RouteRow[];
    assert.deepEqual(rows[0], {
      method: "POST",
      path: "/v1/echo",
      rpc: "echo.v1.EchoService/Echo",
      body: "*",
      response_body: "",
      access: "nobody: no rule",
      accept: "",
    });
  });

  it("refuses a file that is no image", async () => {
    const bad = join(root, "package.json");
    await assert.rejects(
      run((context) => routes(context, { contracts: bad })),
      (error) => error instanceof Failure && error.message.includes("expected a buf image"),
    );
  });
});

describe("heddle route explain", () => {
  it("prints the rule, its bindings and the others, and ends with 0", async () => {
    const { code, text } = await run((context) =>
      routeExplain(context, "get", "http://any/api/v1/users/7/notifications?pageSize=5", {}),
    );
    assert.equal(code, 0);
    const [first, , ...rest] = text.split("\n");
    assert.equal(first, "GET /api/v1/users/{user_id}/notifications is notification.v1.NotificationService/ListNotifications");
    assert.match(rest[0] ?? "", /^ {2}path user_id +"7" +sets user_id, string$/);
    assert.match(rest[1] ?? "", /^ {2}query pageSize +"5" +sets page_size, a 32-bit integer$/);
    assert.match(text, /\/api\/v1\/users\/\{user_id\}\/notifications:watch {2}the path does not end in ":watch"/);
  });

  it("ends with 1 when nothing serves the request, or a part of it is refused", async () => {
    const none = await run((context) => routeExplain(context, "GET", "/v1/nope", { contracts: echo }));
    assert.deepEqual([none.code, none.text.split("\n")[0]], [1, "404: no rule has this path"]);
    const refused = await run((context) => routeExplain(context, "GET", "/v1/echo?int32=x", { contracts: echo }));
    assert.equal(refused.code, 1);
  });

  it("refuses words that are no request", async () => {
    await assert.rejects(
      run((context) => routeExplain(context, "G T", "/", {})),
      /expected an HTTP method/,
    );
    await assert.rejects(
      run((context) => routeExplain(context, "GET", "v1", {})),
      /expected a path that starts with a slash/,
    );
  });
});

describe("heddle openapi", () => {
  it("prints the document, or writes it to a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "heddle-openapi-"));
    try {
      const file = join(folder, "openapi.json");
      const printed = await run((context) => openapi(context, { contracts: echo }));
      const written = await run((context) => openapi(context, { contracts: echo, out: file }));
      assert.equal((JSON.parse(printed.text) as { openapi: string }).openapi, "3.1.1");
      assert.deepEqual([written.text, readFileSync(file, "utf8")], ["", printed.text]);
      const nowhere = join(folder, "nope", "openapi.json");
      await assert.rejects(
        run((context) => openapi(context, { out: nowhere })),
        /--out: ENOENT/,
      );
      assert.equal(existsSync(nowhere), false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("gen/openapi.json is what the platform's contracts make", () => {
    assert.equal(readFileSync(join(root, "gen/openapi.json"), "utf8"), openApiText(root));
  });
});
