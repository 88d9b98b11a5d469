import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { maskedFields } from "./field-mask.ts";

describe("update mask", () => {
  const fields = ["title", "due_date"] as const;
  for (const [paths, expected] of [
    [undefined, ["title", "due_date"]],
    [[], ["title", "due_date"]],
    [["*"], ["title", "due_date"]],
    [["due_date"], ["due_date"]],
    [
      ["due_date", "id", "title"],
      ["title", "due_date"],
    ],
    [["id"], []],
  ] as const) {
    it(`${JSON.stringify(paths)} names ${JSON.stringify(expected)}`, () => {
      const mask = paths === undefined ? undefined : create(FieldMaskSchema, { paths: [...paths] });
      assert.deepEqual([...maskedFields(mask, fields, ["id"])], expected);
    });
  }

  it('["owner"] is INVALID_ARGUMENT', () => {
    assert.throws(
      () => maskedFields(create(FieldMaskSchema, { paths: ["owner"] }), fields, ["id"]),
      (error) => error instanceof ConnectError && error.code === Code.InvalidArgument && error.rawMessage.includes('"owner"'),
    );
  });
});
