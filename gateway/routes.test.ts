import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { AccessLevel, AccessRuleSchema } from "#gen/heddle/v1/access_pb.ts";
import { ContractError } from "./contracts.ts";
import { echoContracts, echoService } from "./fixtures/echo.ts";
import { type RouteOptions, routesOf } from "./routes.ts";

type Rule = MessageInitShape<typeof HttpRuleSchema>;

const get = (value: string, rest: Rule = {}): Rule => ({ ...rest, pattern: { case: "get", value } });
const post = (value: string, rest: Rule = {}): Rule => ({ ...rest, pattern: { case: "post", value } });
const patch = (value: string, rest: Rule = {}): Rule => ({ ...rest, pattern: { case: "patch", value } });

describe("gateway/routes", () => {
  const mistakes: [rule: Rule, mistake: string][] = [
    [get("/v1/{"), 'GET "/v1/{": column 6: expected the name of a field, got the end'],
    [get("/v1/{nothing}"), 'GET "/v1/{nothing}": column 6: "nothing": echo.v1.Everything has no field "nothing"'],
    [get("/v1/{other-name}"), 'GET "/v1/{other-name}": column 11: expected ".", "=" or "}" in a variable, got "-"'],
    [
      get("/v1/{child.nothing}"),
      'GET "/v1/{child.nothing}": column 6: "child.nothing": echo.v1.Everything has no field "nothing"',
    ],
    [get("/v1/{string.x}"), 'GET "/v1/{string.x}": column 6: "string.x": "string" has no fields'],
    [get("/v1/{timestamp.seconds}"), 'GET "/v1/{timestamp.seconds}": column 6: "timestamp.seconds": "timestamp" has no fields'],
    [get("/v1/{strings}"), 'GET "/v1/{strings}": column 6: "strings": "strings" is repeated, and a path holds one value'],
    [
      get("/v1/{children.string}"),
      'GET "/v1/{children.string}": column 6: "children.string": "children" is repeated, and a path holds one value',
    ],
    [
      get("/v1/{string_map}"),
      'GET "/v1/{string_map}": column 6: "string_map": "string_map" is a map, and a path holds one value',
    ],
    [get("/v1/{child}"), 'GET "/v1/{child}": column 6: "child" is a message, echo.v1.Everything, that no text stands for'],
    [get("/v1/{struct}"), 'GET "/v1/{struct}": column 6: "struct" is a message, google.protobuf.Struct, that no text stands for'],
    [get("/v1/a", { body: "*" }), 'GET "/v1/a": column 1: body is "*", but GET takes none'],
    [post("/v1/a", { body: "nothing" }), 'POST "/v1/a": column 1: body is "nothing", but echo.v1.Everything has no such field'],
    [
      post("/v1/a", { body: "child.string" }),
      'POST "/v1/a": column 1: body is "child.string", but it names a top-level field, not a nested one',
    ],
    [post("/v1/{string}", { body: "string" }), 'POST "/v1/{string}": column 1: body is "string", a field that the path sets'],
    [
      get("/v1/a", { responseBody: "nothing" }),
      'GET "/v1/a": column 1: response_body is "nothing", but echo.v1.Everything has no such field',
    ],
    [{}, ' "": column 1: the rule has no pattern: expected get, put, post, delete, patch or custom'],
    [
      { pattern: { case: "custom", value: { kind: "fetch", path: "/v1/a" } } },
      'fetch "/v1/a": column 1: expected an HTTP method in capitals or "*" as kind',
    ],
    [
      get("/v1/a", { additionalBindings: [get("/v1/b", { additionalBindings: [get("/v1/c")] })] }),
      'GET "/v1/b": an additional binding does not hold additional_bindings',
    ],
  ];
  for (const [rule, mistake] of mistakes) {
    it(`refuses ${mistake}`, () => {
      assert.deepEqual(mistakesOf(rule), [`echo.v1.EchoService.Echo: ${mistake}`]);
    });
  }

  it("names all mistakes at once", () => {
    const rule = get("/v1/{", { additionalBindings: [get("v1"), get("/v1/ok"), get("/v1/")] });
    assert.equal(mistakesOf(rule).length, 3);
  });

  it("takes a body on GET, and literals after **, when told to", () => {
    assert.deepEqual(mistakesOf(get("/v1/a", { body: "*" }), { allowBodyOnGetAndDelete: true }), []);
    assert.deepEqual(mistakesOf(get("/v1/**/a"), { allowSuffixAfterDeepWildcard: true }), []);
  });

  it("resolves the fields of variables, body and response", () => {
    const [entry] = routesFor(post("/v1/{child.string}/{timestamp}", { body: "struct", responseBody: "strings" }));
    assert.deepEqual(
      entry?.target.variables.map((fields) => fields.map(({ name }) => name)),
      [["child", "string"], ["timestamp"]],
    );
    assert.equal(entry?.target.body.kind === "field" && entry.target.body.field.name, "struct");
    assert.equal(entry?.target.responseField?.name, "strings");
  });

  it("finds the mask of a PATCH whose body is a message field, and of nothing else", () => {
    const masks = [
      patch("/a", { body: "child" }),
      patch("/a", { body: "*" }),
      patch("/a", { body: "string" }),
      post("/a", { body: "child" }),
    ];
    assert.deepEqual(
      masks.map((rule) => routesFor(rule)[0]?.target.maskField?.name),
      ["mask", undefined, undefined, undefined],
    );
  });

  it("gives a method without a rule its gRPC path", () => {
    const [entry] = routesFor(undefined);
    assert.equal(entry?.httpMethod, "POST");
    assert.equal(entry?.template.text, "/echo.v1.EchoService/Echo");
    assert.equal(entry?.target.body.kind, "whole");
  });

  it("gives a method that only services may call no route", () => {
    const access = create(AccessRuleSchema, { level: AccessLevel.SERVICE });
    const method = { desc: echoMethod(), http: create(HttpRuleSchema, get("/v1/a")), access };
    assert.deepEqual(routesOf({ ...echoContracts, methods: [method] }), []);
  });
});

function echoMethod() {
  const method = echoService.methods.find(({ name }) => name === "Echo");
  assert.ok(method !== undefined);
  return method;
}

function routesFor(rule: Rule | undefined, options?: RouteOptions) {
  const http = rule === undefined ? undefined : create(HttpRuleSchema, rule);
  return routesOf({ ...echoContracts, methods: [{ desc: echoMethod(), http, access: undefined }] }, options);
}

function mistakesOf(rule: Rule, options?: RouteOptions): readonly string[] {
  try {
    routesFor(rule, options);
    return [];
  } catch (error) {
    assert.ok(error instanceof ContractError);
    return error.mistakes;
  }
}
