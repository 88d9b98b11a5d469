import assert from "node:assert/strict";
import { parsePathTemplate, shapeOf, TemplateError, type TemplateOptions } from "./path-template.ts";

describe("gateway/path-template", () => {
  const shapes: [template: string, shape: string][] = [
    ["/v1/users", "/v1/users"],
    ["/v1/users/{id}", "/v1/users/*"],
    ["/v1/users/{id=*}", "/v1/users/*"],
    ["/v1/{name=users/*/keys/*}", "/v1/users/*/keys/*"],
    ["/v1/{name=files/**}", "/v1/files/**"],
    ["/**", "/**"],
    ["/v1/users:send", "/v1/users:send"],
    ["/v1/{name=**}:watch", "/v1/**:watch"],
    ["/v1/a%20b/é", "/v1/a%20b/%C3%A9"],
    ["/v1/a%2Fb", "/v1/a%2Fb"],
    ["/.well-known/jwks.json", "/.well-known/jwks.json"],
  ];
  for (const [template, shape] of shapes) {
    it(`reads ${template} as the shape ${shape}`, () => {
      assert.equal(shapeOf(parsePathTemplate(template)), shape);
    });
  }

  it("gives each variable its field path, its segments and its column: /a/{b.c}/{d=e/**}", () => {
    assert.deepEqual(parsePathTemplate("/a/{b.c}/{d=e/**}").variables, [
      { fieldPath: ["b", "c"], first: 1, count: 1, multi: false, column: 4 },
      { fieldPath: ["d"], first: 2, count: 2, multi: true, column: 10 },
    ]);
  });

  const mistakes: [template: string, column: number, message: string][] = [
    ["", 1, "a template starts with a slash"],
    ["v1/users", 1, "a template starts with a slash"],
    ["/", 2, "expected a segment, got none: empty segments never match"],
    ["/v1/", 4, "a template does not end with a slash"],
    ["/v1//users", 5, "expected a segment, got none: empty segments never match"],
    ["/v1/{1}", 6, 'expected the name of a field, got "1"'],
    ["/v1/{-}", 6, 'expected the name of a field, got "-"'],
    ["/v1/{}", 6, 'expected the name of a field, got "}"'],
    ["/v1/{a/b}", 7, 'expected ".", "=" or "}" in a variable, got "/"'],
    ["/v1/{a", 7, 'expected ".", "=" or "}" in a variable, got the end'],
    ["/v1/{a.}", 8, 'expected the name of a field, got "}"'],
    ["/v1/{a=}", 8, "expected a segment, got none: empty segments never match"],
    ["/v1/x{a}", 6, "a variable takes a whole segment, so nothing may stand before it but a slash"],
    ["/v1/{a}x", 8, 'a variable or wildcard takes a whole segment, got "x" after it'],
    ["/v1/{a}{b}", 8, "a variable takes a whole segment, so nothing may stand before it but a slash"],
    ["/v1/x*", 6, '"*" and "**" take a whole segment, so nothing may stand before them but a slash'],
    ["/v1/***", 7, '"*" and "**" take a whole segment, so nothing may stand before them but a slash'],
    ["/v1/a}", 6, '"}" without "{" before it'],
    ["/v1/{a={b}}", 8, "a variable does not hold another variable"],
    ["/v1/{a}/{a}", 9, 'the variable "a" stands here for the second time'],
    ["/v1/a:b/c", 8, "a verb stands at the end of the template, got a slash after it"],
    ["/v1/a:", 7, "a verb is not empty"],
    ["/v1/a:b:c", 8, 'a verb is a text without ":"'],
    ["/v1/{a=b:c}", 9, 'a verb stands at the end of the template, after every "}"'],
    ["/v1/:a", 5, "expected a segment, got none: empty segments never match"],
    ["/v1/**/a", 8, 'nothing but a verb may follow "**"'],
    ["/v1/{a=**}/{b}", 12, 'nothing but a verb may follow "**"'],
    ["/v1/a%2", 6, 'expected two hexadecimal digits after "%"'],
    ["/v1/%ff", 5, "the percent escapes are not valid UTF-8"],
    ["/v1/a?b", 6, 'a path cannot hold "?"; write its percent escape'],
    ["/v1/a b", 6, 'a path cannot hold " "; write its percent escape'],
  ];
  for (const [template, column, message] of mistakes) {
    it(`refuses ${JSON.stringify(template)} at column ${column}`, () => {
      assert.deepEqual(mistakeOf(template), { column, message });
    });
  }

  it("takes literals, and nothing else, after ** when it may: /a/**/raw", () => {
    const allowed = { allowSuffixAfterDeepWildcard: true };
    assert.equal(shapeOf(parsePathTemplate("/a/**/raw", allowed)), "/a/**/raw");
    assert.deepEqual(mistakeOf("/a/**/*", allowed), { column: 7, message: 'nothing but literals and a verb may follow "**"' });
    assert.deepEqual(mistakeOf("/a/**/**", allowed), { column: 7, message: 'nothing but literals and a verb may follow "**"' });
  });
});

function mistakeOf(template: string, options?: TemplateOptions): { column: number; message: string } | undefined {
  try {
    parsePathTemplate(template, options);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof TemplateError);
    return { column: error.column, message: error.message };
  }
}
