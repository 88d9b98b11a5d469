import assert from "node:assert/strict";
import { filesOf } from "./contracts.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { madeImage } from "./fixtures/made-contract.ts";
import { ChangingContracts, type ContractFiles } from "./sources/source.ts";

const files = (path: string): ContractFiles => ({
  origin: "test",
  files: filesOf(madeImage({ name: "a.v1.A", methods: { Get: { pattern: { case: "get", value: path } } } })),
  services: undefined,
});

class Source extends ChangingContracts {
  get floor(): ContractFiles {
    return this.current;
  }
  become(path: string): void {
    this.publish(() => files(path));
  }
  [Symbol.dispose](): void {}
}

interface Document {
  readonly paths: Readonly<Record<string, object>>;
}

function contractPaths(json: unknown): string[] {
  return Object.keys((json as Document).paths).filter((path) => path.startsWith("/v1/"));
}

describe("gateway/docs", () => {
  const source = new Source(files("/v1/a"));
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ contracts: source, title: "A & B" });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  it("GET /openapi.json describes the plan that holds, with an ETag of its own", async () => {
    const first = await gateway.send("GET /openapi.json");
    assert.deepEqual([first.status, first.headers["content-type"]], [200, "application/json"]);
    assert.deepEqual(contractPaths(first.json), ["/v1/a"]);
    const known = { "if-none-match": String(first.headers.etag) };
    const again = await gateway.send("GET /openapi.json", { headers: known });
    assert.deepEqual([again.status, again.text, again.headers.etag], [304, "", first.headers.etag]);
    source.become("/v1/b");
    const changed = await gateway.send("GET /openapi.json", { headers: known });
    assert.equal(changed.status, 200);
    assert.deepEqual(contractPaths(changed.json), ["/v1/b"]);
  });

  it("GET /openapi.json tells of the gateway's own endpoints, and each is there", async () => {
    const { json } = await gateway.send("GET /openapi.json");
    const { paths } = json as Document;
    const own = Object.entries(paths).filter(([path]) => !path.startsWith("/v1/"));
    for (const [path, item] of own) {
      const { headers } = await gateway.send(`OPTIONS ${path.replaceAll(/\{[^}]*\}/g, "x")}`);
      for (const method of Object.keys(item))
        assert.match(String(headers.allow), new RegExp(`\\b${method.toUpperCase()}\\b`), path);
    }
    assert.equal(own.length, 5);
  });

  it("GET /docs and all that it refers to are here, and lead nowhere else", async () => {
    const page = await gateway.send("GET /docs");
    assert.deepEqual([page.status, page.headers["content-type"]], [200, "text/html; charset=utf-8"]);
    assert.match(page.text, /<title>A &#38; B<\/title>/);
    const references = [...page.text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, reference = ""]) => reference);
    assert.equal(references.length, 4);
    for (const reference of references) {
      assert.match(reference, /^docs\/[\w.-]+$/);
      assert.equal((await gateway.send(`GET /${reference}`)).status, 200, reference);
    }
    const style = await gateway.send("GET /docs/swagger-ui.css");
    assert.deepEqual(style.text.match(/url\((?!["']?(data:|#))[^)]*\)|@import/g), null);
    const start = await gateway.send("GET /docs/start.js");
    assert.match(start.text, /validatorUrl: null/);
    assert.match(start.text, /url: "openapi\.json"/);
  });

  it("forbids the page every address but its own", async () => {
    const { headers } = await gateway.send("GET /docs");
    const policy = String(headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'; script-src 'self';.* connect-src 'self'/);
    assert.equal(policy.includes("http"), false);
  });

  it("answers 404 for other files", async () => {
    for (const file of ["nope.js", "package.json", "..%2fpackage.json"]) {
      assert.equal((await gateway.send(`GET /docs/${file}`)).status, 404, file);
    }
  });

  it("serves neither when docs is false", async () => {
    await using bare = await startTestGateway({ docs: false });
    assert.equal((await bare.send("GET /openapi.json")).status, 404);
    assert.equal((await bare.send("GET /docs")).status, 404);
  });
});
