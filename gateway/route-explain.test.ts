import assert from "node:assert/strict";
import { echoContracts } from "./fixtures/echo.ts";
import { compilePlan } from "./plan.ts";
import { explainRoute } from "./route-explain.ts";

const plan = compilePlan(echoContracts, []);
const explain = (request: string) => {
  const [method = "", target = ""] = request.split(" ");
  return explainRoute(plan, method, target);
};

describe("gateway/route-explain", () => {
  it("names the rule and what each part of GET /v1/echo/ints/5/true?child.string=a+b&string_map[k]=v is bound to", () => {
    const { route, refusal, bindings } = explain("GET /v1/echo/ints/5/true?child.string=a+b&string_map[k]=v");
    assert.equal(route?.template.text, "/v1/echo/ints/{int64}/{bool}");
    assert.equal(refusal, undefined);
    assert.deepEqual(
      bindings.map(({ from, name, value, field, type, mistake }) => [from, name, value, field, type, mistake]),
      [
        ["path", "int64", "5", "int64", "a 64-bit integer", undefined],
        ["path", "bool", "true", "bool", "true or false", undefined],
        ["query", "child.string", "a b", "child.string", "string", undefined],
        ["query", "string_map[k]", "v", "string_map", "map of string", undefined],
      ],
    );
  });

  const mistakes: [request: string, name: string, mistake: RegExp][] = [
    ["GET /v1/echo/ints/x/true", "int64", /^int64: expected a 64-bit integer, got "x"$/],
    ["GET /v1/echo?nope=1", "nope", /^nope: unknown query parameter: expected string, bool, /],
    ["GET /v1/echo?int32=x", "int32", /^int32: expected a 32-bit integer, got "x"$/],
    ["POST /v1/echo?int32=1", "int32", /^belongs to the body, and so cannot stand in the query$/],
  ];
  for (const [request, name, mistake] of mistakes) {
    it(`says why ${request} is refused`, () => {
      const found = explain(request).bindings.find((binding) => binding.name === name);
      assert.match(found?.mistake ?? "", mistake);
    });
  }

  const refusals: [request: string, refusal: string][] = [
    ["GET /v1/echoes", "404: no rule has this path"],
    ["GET /v1/echo/", "404: a path does not end in a slash"],
    ["DELETE /v1/echo", "405: the path is there for GET, HEAD, OPTIONS, POST"],
    ["GET /v1/echo/%zz", '400: path: expected two hexadecimal digits after "%" at character 10, got "%zz"'],
  ];
  for (const [request, refusal] of refusals) {
    it(`${request} is ${refusal}`, () => assert.equal(explain(request).refusal, refusal));
  }

  const others: [request: string, template: string, why: string][] = [
    ["GET /v1/echo/strings/a", "/v1/echo/ints/{int64}/{bool}", 'segment 3 is "ints", the path has "strings"'],
    ["GET /v1/echo/strings/a", "/v1/echo/names/{string=a/*/b/*}", 'segment 3 is "names", the path has "strings"'],
    ["GET /v1/echo", "/v1/echo/strings/{string}", "it has 4 segments, the path 2"],
    ["GET /v1/echo/strings/a", "/v1/echo", "it has 2 segments, the path 4"],
    ["PUT /v1/items/x", "/v1/items/{item.string}", "its path matches, but it is for PATCH"],
    ["POST /v1/echo/x", "/v1/echo/{string}:verb", 'the path does not end in ":verb"'],
    ["POST /v1/echo/strings/", "/v1/echo/strings/{string}", "segment 4 is empty, and no variable binds nothing"],
  ];
  for (const [request, template, why] of others) {
    it(`${template} does not serve ${request}: ${why}`, () => {
      const found = explain(request).others.find((other) => other.route.template.text === template);
      assert.equal(found?.why, why);
    });
  }

  it("tells the nearest of the others first", () => {
    const [first] = explain("GET /v1/files/x/piece").others;
    assert.equal(first?.route.template.text, "/v1/files/{name}/pieces");
  });
});
