import assert from "node:assert/strict";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { eventsBefore, takeLastEventId } from "./resume.ts";

describe("gateway/resume", () => {
  it("takes last-event-id out of the query, and lets the header go first", () => {
    const cases: [query: string, header: string | undefined, rest: string, expected: string | undefined][] = [
      ["", undefined, "", undefined],
      ["a=1", undefined, "a=1", undefined],
      ["a=1&last-event-id=5&b=2", undefined, "a=1&b=2", "5"],
      ["last-event-id=5", "7", "", "7"],
      ["last-event-id=a%2Fb=c", undefined, "", "a/b=c"],
      ["last-event-id=%zz", undefined, "", "%zz"],
      ["last-event-idx=5", undefined, "last-event-idx=5", undefined],
    ];
    for (const [query, header, rest, expected] of cases) {
      const headers = header === undefined ? {} : { "last-event-id": header };
      assert.equal(takeLastEventId(headers, query), rest);
      assert.equal((headers as Record<string, string>)["last-event-id"], expected);
    }
  });

  it("counts on only from a number that the backend gave back", () => {
    const cases: [asked: string | undefined, answered: string | undefined, expected: number][] = [
      ["5", "5", 5],
      ["5", undefined, 0],
      ["5", "4", 0],
      [undefined, "5", 0],
      ["abc", "abc", 0],
      ["9".repeat(16), "9".repeat(16), 0],
    ];
    for (const [asked, answered, expected] of cases) {
      assert.equal(eventsBefore(asked, new Headers(answered === undefined ? {} : { "last-event-id": answered })), expected);
    }
  });
});

describe("gateway: resuming events", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });
  const accept = "text/event-stream";
  const third = 'id: 3\ndata: {"int32":3}\n\n';

  it("passes Last-Event-ID on and goes on with its ids", async () => {
    const reply = await gateway.send("GET /v1/count/3", { headers: { accept, "last-event-id": "2" } });
    assert.deepEqual([reply.text, gateway.received.at(-1)?.header.get("last-event-id")], [third, "2"]);
  });

  it("takes the id from the query, of any format of stream", async () => {
    assert.equal((await gateway.send("GET /v1/count/3?last-event-id=2", { headers: { accept } })).text, third);
    assert.equal((await gateway.send("GET /v1/count/3?last-event-id=2")).text, '{"int32":3}\n');
  });

  it("knows no such parameter where nothing streams", async () => {
    assert.equal((await gateway.send("GET /v1/echo?last-event-id=2")).status, 400);
  });

  it("lets a page read again from where its EventSource broke off", async () => {
    const first = await gateway.send("GET /v1/count/1?string=fail", { headers: { accept } });
    const last = /^id: (\d+)$/m.exec(first.text)?.[1] ?? "";
    const again = await gateway.send("GET /v1/count/3", { headers: { accept, "last-event-id": last } });
    assert.deepEqual(
      [...again.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id),
      ["2", "3"],
    );
  });
});
