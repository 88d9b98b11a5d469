import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { SensorService } from "#gen/sensor/v1/sensor_pb.ts";
import { Status } from "#gen/sensor/v1/test_pb.ts";
import { startProcess, stopProcess } from "#mesh/process.fixture.ts";
import { openDatabase } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { ann, calm, eventually, finished, silent } from "./sensor.fixture.ts";

describe("sensor: kill -9", function () {
  this.timeout(90_000);
  let mesh: TestMesh;
  before(async () => {
    mesh = await startMesh([]);
  });
  after(() => mesh[Symbol.asyncDispose]());

  it("stored samples are analysed by the next process, an upload that was cut is FAILED with the reason, and one event tells of each verdict", async () => {
    const client = mesh.client(SensorService);
    const env = { SENSOR_DATABASE_URL: await testDatabase(), SENSOR_LEASE: "500ms" };
    await using db = await openDatabase({ url: env.SENSOR_DATABASE_URL, service: "test", log: silent });
    const module = new URL("./service.ts", import.meta.url);
    const start = () => startProcess({ mesh, module, env, ask: () => client.listSensorTypes({}) });
    const first = await start();
    const gate = Promise.withResolvers<void>();
    const cut = client
      .uploadSamples(
        (async function* () {
          yield { userId: ann, sensorType: "temperature", samples: calm(100) };
          await gate.promise;
        })(),
      )
      .catch(ConnectError.from);
    const open = async () => db.query<{ id: string }>("SELECT id FROM test WHERE source = 'upload'");
    const uploaded = await eventually("the upload", async () => (await open())[0]?.id);
    const stored = await Promise.all(
      Array.from({ length: 20 }, () => {
        const request = { requestId: uuidv7(), userId: ann, sensorType: "temperature", samples: calm(50_000) };
        return patiently(async () => (await client.runTest(request)).test?.id ?? "");
      }),
    );
    await stopProcess(first, "SIGKILL");
    gate.resolve();
    assert.ok((await cut) instanceof ConnectError);
    const left = await db.query<{ n: number }>("SELECT count(*)::integer AS n FROM test WHERE status = 'processing'");
    console.log(`      ${left[0]?.n} of 21 tests were PROCESSING at the kill`);

    const second = await start();
    try {
      const failed = await patiently(() => finished(client, uploaded));
      assert.deepEqual(
        [failed.status, failed.failureReason],
        [Status.FAILED, "the process that took the samples stopped before the last one: upload them again"],
      );
      for (const id of stored) assert.equal((await patiently(() => finished(client, id))).status, Status.COMPLETED);
      const events = await db.query<{ key: string }>("SELECT key FROM heddle_outbox.event ORDER BY key");
      assert.deepEqual(
        events.map(({ key }) => key),
        stored.toSorted(),
      );
    } finally {
      await stopProcess(second);
    }
  });
});

/** Repeats what is UNAVAILABLE, as clients do while a process is away. */
function patiently<T>(call: () => Promise<T>): Promise<T> {
  return eventually("an answer", () =>
    call().catch((error: unknown) => {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
      return undefined;
    }),
  );
}
