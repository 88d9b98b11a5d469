import assert from "node:assert/strict";
import { create, setExtension } from "@bufbuild/protobuf";
import { MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { AccessLevel, AccessRuleSchema, access } from "#gen/heddle/v1/access_pb.ts";
import { RepresentationSchema, representation } from "#gen/heddle/v1/representation_pb.ts";
import { explanationLines } from "../cli/commands/route-explain.ts";
import { rowOf } from "../cli/commands/routes.ts";
import { paintFor } from "../cli/terminal/paint.ts";
import { ContractError, contractsOf } from "./contracts.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { madeFile } from "./fixtures/made-contract.ts";
import { type ShopBackend, shopBackend, shopContracts } from "./fixtures/shop.ts";
import { openApiOf } from "./openapi/document.ts";
import { compilePlan } from "./plan.ts";
import { explainRoute } from "./route-explain.ts";
import { ownFiles } from "./sources/own-files.ts";

describe("gateway: one resource in several forms, by Accept", () => {
  let backend: ShopBackend;
  let gateway: TestGateway;
  before(async () => {
    backend = shopBackend();
    gateway = await startTestGateway({ contracts: shopContracts(), transport: () => backend.transport });
  });
  after(() => gateway[Symbol.asyncDispose]());

  const json = ["GetPrices", "application/json", '["1","2"]'] as const;
  const svg = ["DrawPrices", "image/svg+xml", "<svg/>"] as const;
  const rows: readonly [accept: string | undefined, answer: readonly [rpc: string, type: string, text: string]][] = [
    [undefined, json],
    ["*/*", json],
    ["application/json", json],
    ["application/json, image/svg+xml", json],
    ["image/svg+xml;q=0.5, application/json", json],
    ["image/svg+xml;q=0, */*", json],
    ["text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", json],
    ["video/mp4", json],
    ["image/svg+xml", svg],
    ["IMAGE/SVG+XML; charset=utf-8", svg],
    ["image/*", svg],
    ["application/json;q=0.5, image/svg+xml;q=0.6", svg],
    ["image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", svg],
  ];
  for (const [accept, [rpc, type, text]] of rows) {
    it(`answers Accept: ${accept ?? "(none)"} by ${rpc}`, async () => {
      backend.calls.length = 0;
      const headers = { "cache-control": "no-cache", ...(accept === undefined ? {} : { accept }) };
      const reply = await gateway.send("GET /api/v1/items/7/prices?days=3", { headers });
      assert.deepEqual([reply.status, reply.headers["content-type"], reply.text], [200, type, text]);
      assert.deepEqual(reply.headers.vary, "Accept");
      const [call] = backend.calls;
      assert.deepEqual([call?.rpc, call?.request.id, call?.request.days], [rpc, "7", 3]);
    });
  }

  it("binds a body as the method itself does, and names the method that answered in the log", async () => {
    backend.calls.length = 0;
    const reply = await gateway.send("POST /api/v1/prices", {
      headers: { accept: "image/svg+xml" },
      body: '{"id":"8","days":2}',
    });
    assert.deepEqual([reply.status, reply.text, backend.calls[0]?.request.id], [200, "<svg/>", "8"]);
    assert.equal(gateway.lines.at(-1)?.rpc, "shop.v1.ShopService/DrawPrices");
  });

  it("holds the access rule of the method that answers, and says that Accept decided", async () => {
    const reply = await gateway.send("GET /api/v1/items/7/prices", { headers: { accept: "text/csv" } });
    assert.deepEqual([reply.status, reply.headers.vary], [401, "Accept"]);
  });

  it("refuses what the binding refuses, in whatever form the answer was to be", async () => {
    const reply = await gateway.send("GET /api/v1/items/7/prices?days=x", { headers: { accept: "image/svg+xml" } });
    assert.deepEqual([reply.status, reply.headers["content-type"], reply.headers.vary], [400, "application/json", "Accept"]);
  });

  it("keeps the answers in memory apart", async () => {
    const get = (accept: string) => gateway.send("GET /api/v1/items/9/prices", { headers: { accept } });
    assert.equal((await get("application/json")).text, '["1","2"]');
    assert.equal((await get("image/svg+xml")).text, "<svg/>");
    assert.equal((await get("application/json")).text, '["1","2"]');
  });

  it("shows the forms in OpenAPI, in the table and in an explanation", () => {
    const plan = compilePlan(shopContracts(), []);
    const document = openApiOf(plan) as { paths: Record<string, { get: { responses: Record<string, { content: object }> } }> };
    const content = document.paths["/api/v1/items/{id}/prices"]?.get.responses["200"]?.content ?? {};
    assert.deepEqual(Object.keys(content), ["application/json", "image/svg+xml", "text/csv"]);
    const explained = explainRoute(plan, "GET", "/api/v1/items/7/prices");
    assert.ok(explained.route !== undefined);
    assert.equal(rowOf({ httpMethod: "GET", target: explained.route }).accept, "image/svg+xml, text/csv");
    const lines = explanationLines(explained, paintFor({}, {}));
    assert.ok(lines.some((line) => /^ {2}accept image\/svg\+xml +shop\.v1\.ShopService\/DrawPrices$/.test(line)));
  });
});

describe("gateway: mistakes in heddle.v1.representation", () => {
  const rows: readonly [mediaType: string, method: string, mistake: string][] = [
    ["image/svg+xml", "Nope", 'made.v1.Made has no method "Nope"'],
    ["image/svg+xml", "Other", "Other takes google.api.HttpBody; expected made.v1.Request, as Get does"],
    ["image/svg+xml", "Plain", "Plain returns made.v1.Response; expected google.api.HttpBody"],
    ["image/svg+xml", "Stream", "Stream streams; expected one answer to one request"],
    ["image/svg+xml", "Inner", "Inner is for services alone"],
    ["image/svg", "Draw", ""],
    ["Image/SVG", "Draw", "expected a media type in lower case without parameters"],
    ["image/svg;q=1", "Draw", "expected a media type in lower case without parameters"],
    ["application/json", "Draw", "the method itself answers with it"],
    ["application/x-protobuf", "Draw", "the method itself answers with it"],
  ];
  for (const [mediaType, method, mistake] of rows) {
    it(`${mistake === "" ? "takes" : "refuses to boot for"} ${mediaType} by ${method}`, () => {
      const expected = mistake === "" ? [] : [`made.v1.Made.Get: heddle.v1.representation "${mediaType}": ${mistake}`];
      assert.deepEqual(mistakesOf([{ mediaType, method }]), expected);
    });
  }

  it("refuses the same media type twice", () => {
    const twice = [
      { mediaType: "image/png", method: "Draw" },
      { mediaType: "image/png", method: "Draw" },
    ];
    assert.deepEqual(mistakesOf(twice), ['made.v1.Made.Get: heddle.v1.representation "image/png": it stands there twice']);
  });
});

/** What the boot says of a service with a method Get that has these representations. */
function mistakesOf(rules: readonly { mediaType: string; method: string }[]): readonly string[] {
  const names = ["Get", "Draw", "Plain", "Stream", "Other", "Inner"];
  const methods = Object.fromEntries(names.map((name) => [name, undefined]));
  const file = madeFile({ name: "made.v1.Made", methods, streams: ["Stream"] });
  file.dependency.push("google/api/httpbody.proto");
  for (const method of file.service[0]?.method ?? []) {
    const options = create(MethodOptionsSchema);
    if (method.name === "Get") {
      setExtension(
        options,
        representation,
        rules.map((rule) => create(RepresentationSchema, rule)),
      );
    }
    if (method.name === "Inner") setExtension(options, access, create(AccessRuleSchema, { level: AccessLevel.SERVICE }));
    if (method.name === "Other") method.inputType = ".google.api.HttpBody";
    if (!["Get", "Plain"].includes(method.name)) method.outputType = ".google.api.HttpBody";
    method.options = options;
  }
  try {
    compilePlan(contractsOf({ origin: "test", files: [...ownFiles.values(), file], services: undefined }), []);
    return [];
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    return error.mistakes;
  }
}
