import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { Outcome, Status, Verdict } from "#gen/sensor/v1/test_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asBob,
  asDegradedAnn,
  asEtl,
  bob,
  calm,
  eventually,
  type Fixture,
  finished,
  freshDatabase,
  refused,
  serve,
} from "./sensor.fixture.ts";

const run = { sensorType: "temperature", sensorId: "boiler 3", sampleRateHz: 10 };

describe("sensor service", () => {
  let db: Database;
  let fixture: Fixture;
  before(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  beforeEach(() => db.query("DELETE FROM test"));

  const count = async () => (await db.query<{ n: number }>("SELECT count(*)::integer AS n FROM test"))[0]?.n;

  describe("RunTest", () => {
    it("answers PROCESSING at once, with what was stored; the verdict follows, and an event of it", async () => {
      const { test } = await fixture.as(asAnn).runTest({ ...run, samples: calm(2000) });
      assert.ok(test !== undefined);
      assert.deepEqual([test.status, test.verdict, test.analysis], [Status.PROCESSING, Verdict.UNSPECIFIED, undefined]);
      assert.deepEqual(
        [test.userId, test.sensorType, test.sensorId, test.sampleRateHz, test.unit, test.sampleCount, test.degraded],
        [ann, "temperature", "boiler 3", 10, "degC", 2000n, false],
      );
      const done = await finished(fixture.as(asAnn), test.id);
      assert.deepEqual([done.status, done.verdict, done.failureReason], [Status.COMPLETED, Verdict.PASS, ""]);
      assert.deepEqual([done.analysis?.range?.outcome, done.analysis?.spectrum?.windows], [Outcome.PASSED, 2n]);
      assert.ok(done.completeTime !== undefined);
      const event = await eventually("the event", () => fixture.events.find(({ key }) => key === test.id));
      assert.deepEqual([event.topic, event.type], ["sensor-tests", "sensor.test.completed"]);
      const { completeTime, ...data } = event.data;
      assert.deepEqual(data, {
        ...{ testId: test.id, userId: ann, sensorType: "temperature", sensorId: "boiler 3", degraded: false },
        ...{ verdict: "PASS", failedChecks: [], sampleCount: 2000 },
      });
      assert.equal(typeof completeTime, "string");
    });

    it("finds 151 degC out of range and says where", async () => {
      const { test } = await fixture.as(asAnn).runTest({ ...run, samples: [...calm(100), 151] });
      const { verdict, analysis } = await finished(fixture.as(asAnn), test?.id ?? "");
      assert.deepEqual([verdict, analysis?.range?.outsideCount, analysis?.range?.firstBadIndex], [Verdict.FAIL, 1n, 100n]);
    });

    it("keeps no samples of a test that is done", async () => {
      const { test } = await fixture.as(asAnn).runTest({ ...run, samples: calm(100) });
      await finished(fixture.as(asAnn), test?.id ?? "");
      assert.deepEqual(await db.query("SELECT samples FROM test"), [{ samples: null }]);
    });

    it("has the default rate of the type for a rate of 0", async () => {
      const { test } = await fixture.as(asAnn).runTest({ sensorType: "rotation", samples: [1] });
      assert.equal(test?.sampleRateHz, 1000);
    });

    it("without samples waits for them, and says until when", async () => {
      const { test } = await fixture.as(asAnn).runTest(run);
      assert.ok(test !== undefined);
      assert.equal(test.status, Status.PROCESSING);
      assert.equal(Number(test.uploadDeadline?.seconds) - Number(test.createTime?.seconds), 300);
    });

    it("answers the same request_id and content with the same test, other content with ALREADY_EXISTS", async () => {
      const request = { ...run, samples: calm(20), requestId: uuidv7() };
      const first = await fixture.as(asAnn).runTest(request);
      const again = await fixture.as(asAnn).runTest({ ...request, requestId: request.requestId.toUpperCase(), userId: ann });
      assert.equal(again.test?.id, first.test?.id);
      await refused(fixture.as(asAnn).runTest({ ...request, samples: calm(21) }), Code.AlreadyExists);
      await refused(fixture.as(asAnn).runTest({ ...request, sensorType: "humidity" }), Code.AlreadyExists);
      assert.notEqual((await fixture.as(asBob).runTest(request)).test?.id, first.test?.id);
      assert.equal(await count(), 2);
    });

    it("stores one test for 20 calls at once with one request_id", async () => {
      const request = { ...run, samples: calm(20), requestId: uuidv7() };
      const answers = await Promise.all(Array.from({ length: 20 }, () => fixture.as(asAnn).runTest(request)));
      assert.equal(new Set(answers.map(({ test }) => test?.id)).size, 1);
    });

    it("lets administrators and services name another user, a person not", async () => {
      await refused(fixture.as(asAnn).runTest({ ...run, userId: bob }), Code.PermissionDenied);
      for (const who of [asAdmin, asEtl]) {
        assert.equal((await fixture.as(who).runTest({ ...run, userId: bob })).test?.userId, bob);
      }
      await refused(fixture.as(asEtl).runTest(run), Code.InvalidArgument, "user_id");
    });

    for (const [what, request, field] of [
      ["no type", { sensorType: "" }, "sensor_type"],
      ["type smell", { sensorType: "smell" }, "sensor_type"],
      ["64.1 samples of temperature per second", { ...run, sampleRateHz: 64.1 }, "sample_rate_hz"],
      ["a rate of -1", { ...run, sampleRateHz: -1 }, "sample_rate_hz"],
      ["a rate of NaN", { ...run, sampleRateHz: Number.NaN }, "sample_rate_hz"],
      ["100,001 samples", { ...run, samples: calm(100_001) }, "samples"],
      ["a sensor_id with U+0000", { ...run, sensorId: "\0" }, "sensor_id"],
      ["a request_id of 1", { ...run, requestId: "1" }, "request_id"],
    ] as const) {
      it(`refuses ${what} as INVALID_ARGUMENT of ${field}`, async () => {
        await refused(fixture.as(asAnn).runTest(request), Code.InvalidArgument, field);
        assert.equal(await count(), 0);
      });
    }

    it("marks a test degraded when the token was verified by signature alone, for good; and any answer to such a token", async () => {
      const { test } = await fixture.as(asDegradedAnn).runTest({ ...run, samples: calm(20) });
      assert.equal(test?.degraded, true);
      assert.equal((await fixture.as(asAnn).getTest({ testId: test.id })).test?.degraded, true);
      const { test: sound } = await fixture.as(asAnn).runTest({ ...run, samples: calm(20) });
      assert.equal(sound?.degraded, false);
      assert.equal((await fixture.as(asDegradedAnn).getTest({ testId: sound.id })).test?.degraded, true);
      assert.equal((await fixture.as(asAnn).getTest({ testId: sound.id })).test?.degraded, false);
    });
  });

  describe("a stranger", () => {
    const watched = async (who: typeof asBob, testId: string) => {
      for await (const { test } of fixture.as(who).watchTest({ testId })) if (test?.status !== Status.PROCESSING) break;
    };
    const methods = {
      getTest: (testId: string) => fixture.as(asBob).getTest({ testId }),
      watchTest: (testId: string) => watched(asBob, testId),
      getTestPlot: (testId: string) => fixture.as(asBob).getTestPlot({ testId }),
      uploadSamples: (testId: string) => fixture.as(asBob).uploadSamples(one({ testId, samples: [1] })),
    };
    for (const [name, call] of Object.entries(methods)) {
      it(`gets NOT_FOUND from ${name}, in the words for a test that does not exist`, async () => {
        const { test } = await fixture.as(asAnn).runTest(run);
        const missing = uuidv7();
        const [said, saidOfNone] = [
          await refused(call(test?.id ?? ""), Code.NotFound),
          await refused(call(missing), Code.NotFound),
        ];
        assert.equal(said.replace(test?.id ?? "", missing), saidOfNone);
      });
    }

    it("may not list another's tests, and sees none of them in the own", async () => {
      await fixture.as(asAnn).runTest(run);
      await refused(fixture.as(asBob).listTests({ userId: ann }), Code.PermissionDenied);
      assert.deepEqual((await fixture.as(asBob).listTests({})).tests, []);
      assert.equal((await fixture.as(asAdmin).listTests({ userId: ann })).tests.length, 1);
    });
  });

  describe("ListTests", () => {
    it("pages through 5 tests by 2, latest first", async () => {
      const ids: string[] = [];
      for (let n = 0; n < 5; n++) ids.unshift((await fixture.as(asAnn).runTest(run)).test?.id ?? "");
      const seen: string[][] = [];
      for (let pageToken = ""; ; ) {
        const page = await fixture.as(asAnn).listTests({ pageSize: 2, pageToken });
        seen.push(page.tests.map(({ id }) => id));
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
      }
      assert.deepEqual(seen, [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
    });

    it("shows only one type, and only one status", async () => {
      await fixture.as(asAnn).runTest(run);
      const { test } = await fixture.as(asAnn).runTest({ sensorType: "humidity", samples: [1] });
      await finished(fixture.as(asAnn), test?.id ?? "");
      const ofType = await fixture.as(asAnn).listTests({ sensorType: "temperature" });
      assert.deepEqual(
        ofType.tests.map(({ sensorType }) => sensorType),
        ["temperature"],
      );
      const done = await fixture.as(asAnn).listTests({ status: Status.COMPLETED });
      assert.deepEqual(
        done.tests.map(({ sensorType }) => sensorType),
        ["humidity"],
      );
    });

    it("refuses a page token of its own making", async () => {
      const pageToken = Buffer.from('["x","y"]').toString("base64url");
      await refused(fixture.as(asAnn).listTests({ pageToken }), Code.InvalidArgument, "page_token");
    });
  });

  describe("WatchTest", () => {
    it("shows a test as it is, then its end, and ends", async () => {
      await using idle = await serve(db, { working: false });
      const { test } = await idle.as(asAnn).runTest(run);
      const seen: Status[] = [];
      const testId = test?.id ?? "";
      for await (const { test: now } of idle.as(asAnn).watchTest({ testId })) {
        seen.push(now?.status ?? Status.UNSPECIFIED);
        if (seen.length === 1) await idle.as(asAnn).uploadSamples(one({ testId, samples: calm(50) }));
      }
      assert.deepEqual([seen[0], seen.at(-1)], [Status.PROCESSING, Status.COMPLETED]);
    });

    it("shows a test that is done once", async () => {
      const { test } = await fixture.as(asAnn).uploadSamples(one({ sensorType: "temperature", samples: calm(50) }));
      const seen = await Array.fromAsync(fixture.as(asAnn).watchTest({ testId: test?.id ?? "" }));
      assert.deepEqual(
        seen.map((answer) => answer.test),
        [test],
      );
    });

    it("ends with the caller, and leaves nothing behind", async () => {
      const { test } = await fixture.as(asAnn).runTest(run);
      const cut = new AbortController();
      const reading = Array.fromAsync(fixture.as(asAnn).watchTest({ testId: test?.id ?? "" }, { signal: cut.signal }));
      await eventually("the watch", () => fixture.changes.watches === 1);
      cut.abort();
      await refused(reading, Code.Canceled);
      await eventually("its end", () => fixture.changes.watches === 0);
    });
  });

  describe("GetTestPlot", () => {
    it("draws the signal with its verdict, and the spectrum", async () => {
      const samples = calm(4000).map((value, index) => value + 0.05 * Math.sin((2 * Math.PI * index) / 8));
      const { test } = await fixture.as(asAnn).uploadSamples(one({ ...run, samples }));
      const { contentType, data } = await fixture.as(asAnn).getTestPlot({ testId: test?.id ?? "" });
      const svg = new TextDecoder().decode(data);
      assert.equal(contentType, "image/svg+xml");
      assert.match(svg, /^<svg xmlns="[^"]+" role="img" width="900" height="760"/);
      assert.match(svg, /^<title>temperature boiler 3 - FAIL: noise, spectrum<\/title>$/m);
      assert.match(svg, /highest peak at 1\.250 Hz/);
      assert.equal(svg.match(/<svg /g)?.length, 3);
    });

    it("is FAILED_PRECONDITION while a test waits", async () => {
      const { test } = await fixture.as(asAnn).runTest(run);
      await refused(fixture.as(asAnn).getTestPlot({ testId: test?.id ?? "" }), Code.FailedPrecondition);
    });
  });

  it("ListSensorTypes: ten by name, in pages of 4, each figure with its source", async () => {
    const all = await fixture.as(asEtl).listSensorTypes({});
    assert.equal(all.sensorTypes.length, 10);
    assert.equal(all.nextPageToken, "");
    for (const { name, sources } of all.sensorTypes) {
      assert.deepEqual(
        Object.keys(sources).sort(),
        ["drift_tolerance", "max_run", "max_sample_rate_hz", "noise_tolerance", "range"],
        name,
      );
    }
    const first = await fixture.as(asEtl).listSensorTypes({ pageSize: 4 });
    const second = await fixture.as(asEtl).listSensorTypes({ pageSize: 6, pageToken: first.nextPageToken });
    assert.deepEqual([...first.sensorTypes, ...second.sensorTypes], all.sensorTypes);
    assert.equal(second.nextPageToken, "");
  });
});

async function* one<T>(message: T): AsyncGenerator<T> {
  yield message;
}
