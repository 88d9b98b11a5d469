import assert from "node:assert/strict";
import { readCatalog, readInstances, readValue, readValues, worstStatus } from "./answers.ts";

const answer = (body: unknown, status = 200, index: string | undefined = "7") => ({
  ...{ status, index, hash: undefined },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

const service = { ID: "a-1", Service: "a", Address: "10.0.0.2", Port: 7001, Tags: ["grpc"], Meta: { version: "1" } };
const node = { Address: "10.0.0.1" };

describe("Consul's answers", () => {
  it("an entry of health becomes an instance", () => {
    const Weights = { Passing: 5, Warning: 2 };
    const entry = { Node: node, Service: { ...service, Weights }, Checks: [{ Status: "passing" }, { Status: "warning" }] };
    assert.deepEqual(readInstances(answer([entry])), [
      {
        ...{ id: "a-1", service: "a", address: "10.0.0.2", port: 7001, tags: ["grpc"], meta: { version: "1" } },
        ...{ weight: 2, status: "warning" },
      },
    ]);
  });

  it("an instance without address is at its node's; null tags, meta, weights and checks are none", () => {
    const bare = { ...service, Address: "", Tags: null, Meta: null, Weights: null };
    const [instance] = readInstances(answer([{ Node: node, Service: bare, Checks: null }]));
    assert.deepEqual(
      [instance?.address, instance?.tags, instance?.meta, instance?.weight, instance?.status],
      ["10.0.0.1", [], {}, 1, "passing"],
    );
  });

  it("instances come in the order of their ids, whatever order they had", () => {
    const entries = ["b", "c", "a"].map((ID) => ({ Node: node, Service: { ...service, ID }, Checks: [] }));
    assert.deepEqual(
      readInstances(answer(entries)).map(({ id }) => id),
      ["a", "b", "c"],
    );
  });

  const worst: [string[], string][] = [
    [[], "passing"],
    [["passing", "passing"], "passing"],
    [["passing", "warning"], "warning"],
    [["warning", "critical"], "critical"],
    [["passing", "maintenance"], "critical"],
    [["passing", ""], "critical"],
  ];
  for (const [statuses, expected] of worst) {
    it(`checks ${JSON.stringify(statuses)} make ${expected}`, () => assert.equal(worstStatus(statuses), expected));
  }

  const refused: [string, unknown, RegExp][] = [
    ["an object", {}, /expected a list of health entries, got a object/],
    ["null", null, /expected a list of health entries, got null/],
    ["an entry without service", [{ Node: node, Checks: [] }], /expected Service, got nothing/],
    [
      "a port that is a text",
      [{ Node: node, Service: { ...service, Port: "7001" } }],
      /expected Service\.Port to be a whole number/,
    ],
    ["a tag that is no text", [{ Node: node, Service: { ...service, Tags: [1] } }], /expected Service\.Tags to be a text/],
    [
      "an id that is missing",
      [{ Node: node, Service: { ...service, ID: undefined } }],
      /expected Service\.ID to be a text, got nothing/,
    ],
    ["no JSON", "<html>", /JSON/],
  ];
  for (const [what, body, message] of refused) {
    it(`refuses as a whole: ${what}`, () => assert.throws(() => readInstances(answer(body)), message));
  }

  it("refuses status 500, and says what it said", () => {
    assert.throws(() => readInstances(answer("No cluster leader", 500)), /expected status 200, got 500 No cluster leader/);
  });

  it("the catalog is sorted, names and tags", () => {
    assert.deepEqual(
      [...readCatalog(answer({ b: ["y", "x"], a: [] }))],
      [
        ["a", []],
        ["b", ["x", "y"]],
      ],
    );
  });

  it("a value is base64; null is the empty text", () => {
    assert.equal(readValue(answer([{ Value: Buffer.from("ä").toString("base64") }])), "ä");
    assert.equal(readValue(answer([{ Value: null }])), "");
  });

  it("a 404 with an index means that the key does not exist; without one it is somebody else's 404", () => {
    assert.equal(readValue(answer("", 404, "9")), undefined);
    assert.throws(() => readValue({ ...answer("not here", 404), index: undefined }), /expected status 200, got 404 not here/);
  });

  it("the values under a prefix come by key, sorted; a 404 with an index means that there are none", () => {
    const entry = (Key: unknown, value: string | null) => ({ Key, Value: value && Buffer.from(value).toString("base64") });
    const pairs = [...readValues(answer([entry("a/c", "3"), entry("a/b", null)]))];
    assert.deepEqual(pairs, [
      ["a/b", ""],
      ["a/c", "3"],
    ]);
    assert.equal(readValues(answer("", 404, "9")).size, 0);
    assert.throws(() => readValues(answer([entry(1, "x")])), /expected Key to be a text, got a number/);
    assert.throws(() => readValues({ ...answer("not here", 404), index: undefined }), /expected status 200, got 404 not here/);
  });
});
