import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { SensorService, UploadSamplesRequestSchema } from "#gen/sensor/v1/sensor_pb.ts";
import { Status, Verdict } from "#gen/sensor/v1/test_pb.ts";
import type { Figures } from "#mesh/measured.fixture.ts";
import { startProcess, stopProcess } from "#mesh/process.fixture.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";

const long = process.env.HEDDLE_SOAK === "1";
// A short run has some hundred readings of the delay, of which the few that the machine's other work causes would decide.
const { total, maxDelayMs } = long ? { total: 10_000_000, maxDelayMs: 20 } : { total: 500_000, maxDelayMs: 250 };
const chunk = 8192;
const maxBytes = 150 * 2 ** 20;

describe(`sensor: ${total.toLocaleString("en")} samples by client stream`, function () {
  this.timeout(300_000);
  let mesh: TestMesh;
  let child: ChildProcess;
  before(async () => {
    mesh = await startMesh([]);
    // The first start fills the compile cache, as `heddle up` has it after its own first start.
    const env = { SENSOR_DATABASE_URL: await testDatabase() };
    const module = new URL("./service.ts", import.meta.url);
    const ask = () => mesh.client(SensorService).listSensorTypes({});
    await stopProcess(await startProcess({ mesh, module, env, ask }));
    child = await startProcess({ mesh, module, env, ask, loaded: new URL("../../mesh/measured.fixture.ts", import.meta.url) });
  });
  after(async () => {
    await stopProcess(child);
    await mesh[Symbol.asyncDispose]();
  });

  it(`takes less than 150 MB of memory, and its event loop is late by less than ${maxDelayMs} ms at the 99th percentile`, async () => {
    const client = mesh.client(SensorService);
    // What the first call loads is not what this measures.
    await client.uploadSamples(messages(20_000));
    await ask(child, "begin");
    const started = performance.now();
    const { test } = await client.uploadSamples(messages(total));
    const seconds = (performance.now() - started) / 1000;
    const { startRss, maxRss, maxPss, delayP99Ms, delayMaxMs } = (await ask(child, "end")) as Figures;
    console.log(
      `      ${total.toLocaleString("en")} samples in ${seconds.toFixed(1)} s: ${Math.round(total / seconds).toLocaleString("en")}/s`,
    );
    console.log(
      `      memory: ${mb(maxPss)} (PSS, bar: 150 MB); resident ${mb(startRss)} at the beginning, ${mb(maxRss)} at most`,
    );
    console.log(
      `      event loop delay: p99 ${delayP99Ms.toFixed(1)} ms (bar of 10,000,000 samples: 20 ms), max ${delayMaxMs.toFixed(1)} ms`,
    );
    assert.deepEqual([test?.status, test?.verdict, test?.sampleCount], [Status.COMPLETED, Verdict.PASS, BigInt(total)]);
    assert.equal(test?.analysis?.spectrum?.windows, BigInt(Math.floor((total - 512) / 512)));
    assert.ok(maxPss < maxBytes, `expected less than ${mb(maxBytes)}, got ${mb(maxPss)}`);
    assert.ok(delayP99Ms < maxDelayMs, `expected less than ${maxDelayMs} ms, got ${delayP99Ms} ms`);
  });
});

/** Rotation at rest, with noise of a linear congruential generator, so that the samples are the same every time. */
async function* messages(count: number) {
  let state = 1;
  const first = { sensorType: "rotation", sampleRateHz: 8000, userId: uuidv7() };
  for (let sent = 0; sent < count; sent += chunk) {
    const samples = Array.from({ length: Math.min(chunk, count - sent) }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state / 2 ** 32 - 0.5) * 0.2;
    });
    yield create(UploadSamplesRequestSchema, sent === 0 ? { ...first, samples } : { samples });
  }
}

async function ask(child: ChildProcess, what: "begin" | "end"): Promise<unknown> {
  const answer = once(child, "message");
  child.send(what);
  return (await answer)[0];
}

function mb(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MB`;
}
