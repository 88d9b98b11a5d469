import assert from "node:assert/strict";
import { read } from "./fixtures/read.ts";

describe("gateway/update-mask", () => {
  const masks: [body: string, mask: string | undefined][] = [
    ['{"int32":1,"bool":false}', "int32,bool"],
    ['{"child":{"child":{"string":"a"},"int32":1}}', "child.child.string,child.int32"],
    ['{"child":{},"stringMap":{"a":"b"},"children":[{"int32":1}]}', "child,stringMap,children"],
    ['{"timestamp":"2030-01-01T00:00:00Z","struct":{"a":1},"maybe":null}', "timestamp,struct,maybe"],
    ['{"other-name":"a"}', "renamed"],
  ];
  for (const [body, mask] of masks) {
    it(`fills the mask of ${body} with ${mask}`, () => {
      assert.equal((read("PATCH /v1/items/x", body) as { updateMask?: string }).updateMask, mask);
    });
  }

  it("leaves a mask that was sent as it is", () => {
    assert.equal((read("PATCH /v1/items/x?updateMask=bool", '{"int32":1}') as { updateMask?: string }).updateMask, "bool");
    assert.equal(
      (read("PATCH /v1/items/x?update_mask=string_map,child.int32", '{"int32":1}') as { updateMask?: string }).updateMask,
      "stringMap,child.int32",
    );
  });

  it("does not fill it on PUT", () => {
    assert.equal((read("PUT /v1/items/x", '{"int32":1}') as { updateMask?: string }).updateMask, undefined);
  });

  it("refuses a PATCH of nothing, which services would read as everything", () => {
    assert.deepEqual(read("PATCH /v1/items/x", "{}"), ["item: expected at least one field to change, got none"]);
    assert.deepEqual(read("PATCH /v1/items/x", ""), ["item: expected at least one field to change, got none"]);
  });
});
