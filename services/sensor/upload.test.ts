import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { SampleFormat } from "#gen/sensor/v1/sensor_pb.ts";
import { Status, type Test, Verdict } from "#gen/sensor/v1/test_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { sampleDecoder } from "./sample-decoder.ts";
import {
  ann,
  asAnn,
  asDegradedAnn,
  calm,
  eventually,
  type Fixture,
  finished,
  freshDatabase,
  refused,
  serve,
} from "./sensor.fixture.ts";

const first = { sensorType: "temperature", sampleRateHz: 10 };

describe("sensor upload", () => {
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

  const upload = async (...messages: readonly object[]) => (await fixture.as(asAnn).uploadSamples(each(messages))).test;
  const onlyTest = async () => (await fixture.as(asAnn).listTests({})).tests[0];

  it("answers with the verdict that RunTest comes to, however the samples are cut", async () => {
    const samples = calm(40_000);
    const { test } = await fixture.as(asAnn).runTest({ ...first, samples });
    const whole = await finished(fixture.as(asAnn), test?.id ?? "");
    const cut = await upload(
      { ...first, samples: samples.slice(0, 1) },
      { samples: samples.slice(1, 33_000) },
      {},
      { samples: samples.slice(33_000) },
    );
    assert.deepEqual([cut?.status, cut?.verdict, cut?.sampleCount], [Status.COMPLETED, Verdict.PASS, 40_000n]);
    assert.deepEqual(cut?.analysis, whole.analysis);
    const events = await eventually("the events", () => fixture.events.filter(({ key }) => key === cut?.id).length === 1);
    assert.equal(events, true);
  });

  it("reads bytes: doubles, singles and text make the same samples", async () => {
    const samples = Float64Array.from({ length: 3000 }, (_, index) => 20 + (index % 7) / 1024);
    const doubles = Buffer.from(samples.buffer);
    const singles = Buffer.from(Float32Array.from(samples).buffer);
    const text = Buffer.from(`${[...samples].join("\r\n")}\n\n`);
    const answers: (Test | undefined)[] = [];
    for (const [bytes, contentType, sampleFormat] of [
      [doubles, "application/octet-stream", SampleFormat.UNSPECIFIED],
      [singles, "application/octet-stream", SampleFormat.FLOAT32],
      [text, "text/csv", SampleFormat.UNSPECIFIED],
      [text, "", SampleFormat.TEXT],
    ] as const) {
      const raw = (from: number, to: number) => ({ contentType, data: bytes.subarray(from, to) });
      answers.push(
        await upload({ ...first, sampleFormat, raw: raw(0, 5) }, { raw: raw(5, 1001) }, { raw: raw(1001, bytes.length) }),
      );
    }
    assert.deepEqual(
      answers.map((test) => test?.sampleCount),
      [3000n, 3000n, 3000n, 3000n],
    );
    for (const test of answers) assert.deepEqual(test?.analysis, answers[0]?.analysis);
  });

  it("fills a test that waits for samples, once", async () => {
    const { test } = await fixture.as(asAnn).runTest(first);
    const testId = test?.id ?? "";
    const done = await upload({ testId, samples: calm(20) });
    assert.deepEqual([done?.id, done?.status, done?.userId, done?.uploadDeadline], [testId, Status.COMPLETED, ann, undefined]);
    assert.match(await refused(upload({ testId, samples: calm(20) }), Code.FailedPrecondition), /does not wait/);
  });

  it("answers the request_id of an upload that is done with its test, and stores nothing", async () => {
    const requestId = uuidv7();
    const one = await upload({ ...first, requestId, samples: calm(20) });
    const two = await upload({ ...first, requestId, samples: calm(20) });
    assert.deepEqual(two, one);
    await refused(
      upload({ ...first, sensorType: "humidity", sampleRateHz: 1, requestId, samples: calm(20) }),
      Code.AlreadyExists,
    );
    assert.equal((await fixture.as(asAnn).listTests({})).tests.length, 1);
  });

  it("one that breaks off is FAILED and says where; its request_id begins it anew", async () => {
    const requestId = uuidv7();
    const cut = async function* () {
      yield { ...first, requestId, samples: calm(20) };
      throw new Error("the cable");
    };
    await assert.rejects(fixture.as(asAnn).uploadSamples(cut()));
    const failed = await eventually("the failure", async () => {
      const test = await onlyTest();
      return test?.status === Status.FAILED ? test : undefined;
    });
    assert.match(failed.failureReason, /^the upload broke off after 20 samples: /);
    const again = await upload({ ...first, requestId, samples: calm(30) });
    assert.deepEqual(
      [again?.id, again?.status, again?.failureReason, again?.sampleCount],
      [failed.id, Status.COMPLETED, "", 30n],
    );
  });

  it("is ABORTED under the request_id of one that is under way", async () => {
    const requestId = uuidv7();
    const gate = Promise.withResolvers<void>();
    const held = async function* () {
      yield { ...first, requestId, samples: calm(20) };
      await gate.promise;
    };
    const under = fixture.as(asAnn).uploadSamples(held());
    await eventually("the test", onlyTest);
    await refused(upload({ ...first, requestId, samples: calm(20) }), Code.Aborted);
    gate.resolve();
    assert.equal((await under).test?.status, Status.COMPLETED);
  });

  it("that sends nothing for the upload timeout is DEADLINE_EXCEEDED, and its test FAILED", async () => {
    await using impatient = await serve(db, { uploadTimeoutMs: 50 });
    const gate = Promise.withResolvers<void>();
    const held = async function* () {
      yield { ...first, samples: calm(20) };
      await gate.promise;
    };
    assert.match(await refused(impatient.as(asAnn).uploadSamples(held()), Code.DeadlineExceeded), /no samples came for 0.05 s/);
    assert.equal((await onlyTest())?.status, Status.FAILED);
    gate.resolve();
  });

  it("is marked degraded like any test", async () => {
    assert.equal((await fixture.as(asDegradedAnn).uploadSamples(each([{ ...first, samples: [1] }]))).test?.degraded, true);
  });

  for (const [what, messages, field] of [
    ["no message", [], ""],
    ["no samples", [first], "samples"],
    ["no type", [{ samples: [1] }], "sensor_type"],
    ["type smell", [{ ...first, sensorType: "smell" }], "sensor_type"],
    ["65 samples of temperature per second", [{ ...first, sampleRateHz: 65 }], "sample_rate_hz"],
    ["a type in the second message", [{ ...first, samples: [1] }, { sensorType: "light" }], "sensor_type"],
    ["a rate in the second message", [{ ...first, samples: [1] }, { sampleRateHz: 1 }], "sample_rate_hz"],
    ["a type beside a test_id", [{ ...first, testId: uuidv7() }], "sensor_type"],
    ["nine bytes of doubles", [{ ...first, raw: { data: new Uint8Array(9) } }], "samples"],
    ["the line 0x10", [{ ...first, raw: { contentType: "text/plain", data: Buffer.from("1\n0x10\n") } }], "samples"],
  ] as const) {
    it(`refuses ${what} as INVALID_ARGUMENT of ${JSON.stringify(field)}, and leaves no test PROCESSING`, async () => {
      await refused(upload(...messages), Code.InvalidArgument, field);
      assert.ok(((await onlyTest())?.status ?? Status.FAILED) === Status.FAILED);
    });
  }
});

describe("sample decoder", () => {
  for (const format of ["float64", "float32", "text"] as const) {
    it(`${format}: how the bytes are cut does not change the samples`, () => {
      fc.assert(
        fc.property(fc.array(fc.float()), fc.array(fc.nat(40)), (values, cuts) => {
          const samples = format === "float32" ? Float32Array.from(values) : Float64Array.from(values);
          const bytes = format === "text" ? Buffer.from(values.join("\n")) : Buffer.from(samples.buffer);
          const decoder = sampleDecoder(format);
          const read: number[] = [];
          let at = 0;
          for (const cut of cuts) {
            read.push(...decoder.add(bytes.subarray(at, at + cut)));
            at += cut;
          }
          read.push(...decoder.add(bytes.subarray(at)), ...decoder.end());
          // Text has one zero.
          assert.deepEqual(read, format === "text" ? values.map((value) => value + 0) : values);
        }),
      );
    });
  }

  for (const [line, value] of [
    ["1", 1],
    ["-1.5e3", -1500],
    [" .5 ", 0.5],
    ["+2", 2],
    ["nan", Number.NaN],
    ["inf", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
  ] as const) {
    it(`reads ${JSON.stringify(line)} as ${value}`, () => {
      assert.deepEqual([...sampleDecoder("text").add(Buffer.from(`${line}\n`))], [value]);
    });
  }

  for (const line of ["0x10", "0b1", "1,2", "one", "1 2", "--1", "1".repeat(101)]) {
    it(`refuses ${JSON.stringify(line.slice(0, 10))} and names the line`, () => {
      const decoder = sampleDecoder("text");
      const bad = () => [decoder.add(Buffer.from(`7\n${line}`)), decoder.end()];
      assert.throws(bad, { name: "SampleError", message: `line 2: expected a number, got ${JSON.stringify(line.slice(0, 40))}` });
    });
  }
});

async function* each<T>(messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}
