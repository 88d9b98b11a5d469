import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { placeholdersOf, render } from "./template.ts";

const of = (body: string, subject = "", secretValues: string[] = []) => ({ subject, body, secretValues });

describe("template", () => {
  it('renders "Hello {{name}}, {{ link }}" with its values', () => {
    const { body } = render(of("Hello {{name}}, {{ link }}"), { name: "Ann", link: "https://x" });
    assert.equal(body, "Hello Ann, https://x");
  });

  it("names every missing value, once each, and template.values", () => {
    assert.throws(
      () => render(of("{{b}} {{a}} {{b}}", "{{c}}"), { a: "1" }),
      (error: unknown) => {
        assert.ok(error instanceof ConnectError);
        assert.equal(error.code, Code.InvalidArgument);
        assert.equal(error.rawMessage, 'template.values: expected a value for "c", "b", got none');
        return true;
      },
    );
  });

  it("takes an inherited name such as constructor for missing", () => {
    assert.throws(() => render(of("{{constructor}}"), {}), /expected a value for "constructor"/);
  });

  it("does not look into values: {{b}} as the value of a stays {{b}}", () => {
    assert.equal(render(of("{{a}}"), { a: "{{b}}", b: "no" }).body, "{{b}}");
  });

  it("takes $& in a value as it stands", () => {
    assert.equal(render(of("<{{a}}>"), { a: "$& $1 $$" }).body, "<$& $1 $$>");
  });

  for (const text of ["{{}}", "{{ }}", "{ {a}}", "{{a b}}", "{{a}", "{{a\n}}", "{{ä}}"]) {
    it(`leaves ${JSON.stringify(text)} as text`, () => {
      assert.equal(render(of(text), { a: "x" }).body, text);
    });
  }

  it("puts blanks for line breaks of a value in the subject, and keeps them in the body", () => {
    const { subject, body } = render(of("{{a}}", "Hi {{a}}!"), { a: "x\r\nBcc: y" });
    assert.equal(subject, "Hi x Bcc: y!");
    assert.equal(body, "x\r\nBcc: y");
  });

  it("shows *** for secret values and sends them", () => {
    const rendered = render(of("code {{code}} for {{name}}", "{{code}}", ["code"]), { code: "123456", name: "Ann" });
    assert.deepEqual(rendered, {
      ...{ subject: "123456", body: "code 123456 for Ann" },
      ...{ shownSubject: "***", shownBody: "code *** for Ann" },
    });
  });

  it("refuses a body of 100,001 characters and takes one of 100,000", () => {
    assert.throws(
      () => render(of("{{a}}!"), { a: "x".repeat(100_000) }),
      /the body would have 100001 characters, expected at most 100000/,
    );
    assert.equal(render(of("{{a}}!"), { a: "x".repeat(99_999) }).body.length, 100_000);
  });

  it("refuses a subject of 501 characters", () => {
    assert.throws(() => render(of("x", "{{a}}"), { a: "x".repeat(501) }), /the subject would have 501 characters/);
  });

  it("refuses 10,000 placeholders with 10,000 characters each without building them", () => {
    const began = performance.now();
    assert.throws(() => render(of("{{a}}".repeat(10_000)), { a: "x".repeat(10_000) }), /100000000 characters/);
    assert.ok(performance.now() - began < 1000);
  });

  it("is linear in a body of 100,000 opening braces and blanks", () => {
    const began = performance.now();
    assert.equal(placeholdersOf(of("{{ ".repeat(33_333))).size, 0);
    assert.equal(placeholdersOf(of(`{{${" ".repeat(99_000)}`)).size, 0);
    assert.ok(performance.now() - began < 1000);
  });

  it("leaves any text without braces as it is", () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes("{{")),
        (text) => render(of(text), {}).body === text,
      ),
    );
  });
});
