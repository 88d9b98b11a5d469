import assert from "node:assert/strict";
import { outcome, startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { type ShopBackend, shopBackend, shopContracts } from "./fixtures/shop.ts";

describe("gateway: preconditions, partial answers, defaults, versions", () => {
  let backend: ShopBackend;
  let gateway: TestGateway;
  before(async () => {
    backend = shopBackend();
    gateway = await startTestGateway({ contracts: shopContracts(), transport: () => backend.transport });
  });
  after(() => gateway[Symbol.asyncDispose]());

  async function send(target: string, headers: Record<string, string> = {}, body?: string) {
    backend.calls.length = 0;
    return gateway.send(target, body === undefined ? { headers } : { headers, body });
  }

  const reads: [headers: Record<string, string>, status: number][] = [
    [{}, 200],
    [{ "if-none-match": '"one"' }, 304],
    [{ "if-none-match": 'W/"one"' }, 304],
    [{ "if-none-match": '"zero", "one"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"two"' }, 200],
    [{ "if-none-match": "one" }, 400],
    [{ "if-match": '"one"' }, 200],
    [{ "if-match": "*" }, 200],
    [{ "if-match": 'W/"one"' }, 412],
    [{ "if-match": '"two"' }, 412],
    [{ "if-match": '"one"', "if-none-match": '"one"' }, 304],
  ];
  for (const [headers, status] of reads) {
    it(`answers GET with ${JSON.stringify(headers)} with ${status} and the ETag`, async () => {
      const reply = await send("GET /api/v1/items/7", headers);
      assert.equal(reply.status, status);
      if (status === 304) assert.equal(reply.text, "");
      if (status !== 400) assert.equal(reply.headers.etag, '"one"');
    });
  }

  it("writes a tag that HTTP cannot hold in percent escapes, takes it back, and keeps a weak one weak", async () => {
    const texts: [text: string, tag: string][] = [
      ['"quoted"', '"%22quoted%22"'],
      ["50% é", '"50%25%20%C3%A9"'],
      ['W/"w"', 'W/"w"'],
    ];
    for (const [text, tag] of texts) {
      backend.etag = text;
      assert.equal((await send("GET /api/v1/items/7")).headers.etag, tag);
      const reply = await send("PATCH /api/v1/items/7", { "if-match": tag }, '{"name":"x"}');
      assert.deepEqual([reply.status, backend.calls[0]?.request.etag], tag.startsWith("W") ? [412, undefined] : [200, text]);
    }
    backend.etag = "one";
  });

  const writes: [target: string, body: string | undefined, headers: Record<string, string>, status: number, asked: boolean][] = [
    ["PATCH /api/v1/items/7", '{"name":"x"}', { "if-match": '"one"' }, 200, true],
    ["PATCH /api/v1/items/7", '{"name":"x"}', { "if-match": '"zero"' }, 412, true],
    ["PATCH /api/v1/items/7", '{"name":"x"}', { "if-match": "*" }, 200, true],
    ["PATCH /api/v1/items/7", '{"name":"x"}', { "if-match": '"one", "two"' }, 412, false],
    ["PATCH /api/v1/items/7", '{"name":"x"}', {}, 200, true],
    ["PUT /api/v1/items/7", '{"name":"x"}', { "if-match": '"one"' }, 200, true],
    ["PUT /api/v1/items/7", '{"name":"x"}', { "if-match": '"zero"' }, 412, true],
    ["PUT /api/v1/items/7", '{"name":"x","etag":"zero"}', { "if-match": '"one"' }, 400, false],
    ["DELETE /api/v1/items/7", undefined, { "if-match": '"one"' }, 412, false],
    ["DELETE /api/v1/items/7", undefined, { "if-none-match": "*" }, 412, false],
    ["DELETE /api/v1/items/7", undefined, {}, 200, true],
  ];
  for (const [target, body, headers, status, asked] of writes) {
    it(`answers ${target} ${body ?? ""} with ${JSON.stringify(headers)} with ${status}`, async () => {
      const reply = await send(target, headers, body);
      assert.deepEqual([reply.status, backend.calls.length], [status, asked ? 1 : 0]);
    });
  }

  it("answers 409 to the same refusal without If-Match", async () => {
    assert.equal((await send("PUT /api/v1/items/7", {}, '{"etag":"zero"}')).status, 409);
  });

  const selections: [target: string, text: string][] = [
    ["GET /api/v1/items/7?fields=id,name", '{"id":"7","name":"Item"}'],
    ["GET /api/v1/items/7?fields=parts.name", '{"parts":[{"name":"a"},{"name":"b"}]}'],
    ["GET /api/v1/items/7?fields=main.inner.count&fields=id", '{"id":"7","main":{"inner":{"count":2}}}'],
    [
      "GET /api/v1/items/7?fields=named.name,made,more",
      '{"named":{"n":{"name":"n"}},"made":"1970-01-01T00:00:00Z","more":{"any":[1]}}',
    ],
    ["GET /api/v1/items/7?fields=right.name,left", '{"right":{"name":"r"}}'],
    ["GET /api/v1/items/7?fields=main,main.name", '{"main":{"name":"m","count":1,"inner":{"name":"m.inner","count":2}}}'],
    ["GET /api/v1/search?fields=a,b", '{"fields":"a,b"}'],
    ["GET /api/v1/items:watch?fields=id", '{"id":"1"}\n{"id":"2"}\n'],
    ["GET /api/v1/catalog?fields=items.id&page=3", '{"items":[{"id":"page 3"}]}'],
  ];
  for (const [target, text] of selections) {
    it(`answers ${target} with ${text.trim()}`, async () => {
      assert.equal((await send(target)).text, text);
    });
  }

  it("keeps the ETag of what it shows a part of, and answers If-None-Match by it", async () => {
    assert.equal((await send("GET /api/v1/items/7?fields=id")).headers.etag, '"one"');
    assert.equal((await send("GET /api/v1/items/7?fields=id", { "if-none-match": '"one"' })).status, 304);
  });

  const unknown: [target: string, expected: string][] = [
    ["GET /api/v1/items/7?fields=nope", '400 fields: "nope": shop.v1.Item has no such field'],
    ["GET /api/v1/items/7?fields=parts.nope", '400 fields: "parts.nope": shop.v1.Part has no such field'],
    ["GET /api/v1/items/7?fields=made.seconds", '400 fields: "made.seconds": google.protobuf.Timestamp has no such field'],
    ["GET /api/v1/items/7?fields=id.x", '400 fields: "id.x": the answer has no fields there'],
    ["GET /api/v1/items/7?fields=", '400 fields: "": shop.v1.Item has no such field'],
  ];
  for (const [target, expected] of unknown) {
    it(`answers ${target} with ${expected}, and asks nobody`, async () => {
      assert.equal(outcome(await send(target)), expected);
      assert.equal(backend.calls.length, 0);
    });
  }

  it("writes defaults when Accept asks for them, and when the gateway does unless Accept does not want them", async () => {
    const plain = { accept: "application/json" };
    const asked = { accept: "application/json;emitDefaults=true" };
    const unasked = { accept: "application/json; emitdefaults=false" };
    const target = "GET /api/v1/search";
    assert.deepEqual([(await send(target, plain)).text, (await send(target, asked)).text], ["{}", '{"fields":""}']);
    await using other = await startTestGateway({
      contracts: shopContracts(),
      transport: () => backend.transport,
      duties: { emitDefaults: true },
    });
    assert.equal((await other.send(target)).text, '{"fields":""}');
    assert.equal((await other.send(target, { headers: unasked })).text, "{}");
  });

  it("answers 201 with Location, and drops one that is no path of ours", async () => {
    const made = await send("POST /api/v1/items", {}, '{"id":"9"}');
    assert.deepEqual(
      [made.status, made.headers.location, made.headers["grpc-metadata-location"]],
      [201, "/api/v1/items/9", undefined],
    );
    const forged = await send("POST /api/v1/items", {}, '{"id":"a b"}');
    assert.deepEqual([forged.status, forged.headers.location], [201, undefined]);
  });

  it("serves two versions of a contract side by side, and says which routes go away", async () => {
    assert.equal((await send("GET /api/v2/items/7")).text, '{"id":"7","price":{"minor":"5","currency":"EUR"}}');
    const old = await send("GET /api/v1/old/7");
    assert.deepEqual(
      [old.status, old.headers.deprecation, old.headers.sunset, old.headers.link],
      [200, "@1767225600", "Fri, 01 Jan 2027 00:00:00 GMT", '<https://example.com/moving>; rel="deprecation"; type="text/html"'],
    );
    assert.equal((await send("GET /api/v1/items/7")).headers.deprecation, undefined);
  });

  it("decodes variables of several segments as it is told, and takes a slash at the end only when told", async () => {
    const path = "/api/v1/files/a%2Fb/c%3Fd%20e";
    const seen: string[] = [];
    for (const multiSegment of ["slash", "reserved", "all"] as const) {
      const templates = { matching: { multiSegment, trailingSlash: "ignore" as const } };
      await using other = await startTestGateway({ contracts: shopContracts(), transport: () => backend.transport, templates });
      seen.push((await other.send(`GET ${path}`)).text);
      assert.equal((await other.send("GET /api/v1/items/7/")).status, 200);
      assert.equal((await other.send("GET /api/v1/items/7//")).status, 404);
    }
    assert.deepEqual(seen, ['{"path":"a%2Fb/c?d e"}', '{"path":"a%2Fb/c%3Fd e"}', '{"path":"a/b/c?d e"}']);
    assert.equal((await send("GET /api/v1/items/7/")).status, 404);
  });
});
