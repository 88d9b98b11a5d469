import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { SensorService } from "#gen/sensor/v1/sensor_pb.ts";
import { Status, Verdict } from "#gen/sensor/v1/test_pb.ts";
import { reasonOf } from "#mesh/errors.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { auth } from "../auth/service.ts";
import { calm, eventually, finished, refused } from "./sensor.fixture.ts";
import { sensor } from "./service.ts";

const password = "a good long passphrase";
const run = { sensorType: "temperature", sampleRateHz: 10, samples: calm(200) };

describe("sensor in the mesh", function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  let client: Client<typeof SensorService>;
  let annToken: string;
  let bobToken: string;
  before(async () => {
    mesh = await startMesh([auth, sensor], { env: { AUTH_DATABASE_URL: await testDatabase() } });
    client = mesh.client(SensorService);
    annToken = await signUp("ann@example.com");
    bobToken = await signUp("bob@example.com");
  });
  after(() => mesh[Symbol.asyncDispose]());

  const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  const signUp = async (email: string) => {
    await mesh.client(AuthService).register({ email, password, name: email });
    return (await mesh.client(AuthService).login({ email, password })).accessToken;
  };

  it("a stranger's token gets NOT_FOUND for another's test from each method", async () => {
    const { test } = await client.runTest({ ...run, samples: [] }, as(annToken));
    const testId = test?.id ?? "";
    const bobs = as(bobToken);
    await refused(client.getTest({ testId }, bobs), Code.NotFound);
    await refused(client.getTestPlot({ testId }, bobs), Code.NotFound);
    await refused(Array.fromAsync(client.watchTest({ testId }, bobs)), Code.NotFound);
    await refused(client.uploadSamples(each([{ testId, samples: [1] }]), bobs), Code.NotFound);
    assert.deepEqual((await client.listTests({}, bobs)).tests, []);
    assert.equal((await client.getTest({ testId }, as(annToken))).test?.status, Status.PROCESSING);
  });

  it("over REST: aliases, NDJSON, bytes, events and the picture", async () => {
    await using gateway = await startGateway(mesh);
    const json = { authorization: `Bearer ${annToken}`, "content-type": "application/json" };
    const post = (path: string, body: string | Uint8Array<ArrayBuffer>, type = "application/json") =>
      fetch(`${gateway.url}${path}`, { method: "POST", headers: { ...json, "content-type": type }, body });
    for (const path of ["/api/v1/sensors/temperature/tests", "/test/temperature", "/test/sensor/temperature"]) {
      const answer = await post(path, JSON.stringify({ samples: run.samples }));
      const { status, id, sensorType } = (await answer.json()) as Record<string, string>;
      assert.deepEqual([answer.status, status, sensorType], [200, "STATUS_PROCESSING", "temperature"], path);
      const watched = await fetch(`${gateway.url}/api/v1/tests/${id}:watch`, {
        headers: { ...json, accept: "text/event-stream" },
      });
      assert.match(await watched.text(), /"status":"STATUS_COMPLETED","verdict":"VERDICT_PASS"/);
      for (const alias of [`/api/v1/tests/${id}`, `/test/${id}`]) {
        const { verdict } = (await (await fetch(`${gateway.url}${alias}`, { headers: json })).json()) as Record<string, string>;
        assert.equal(verdict, "VERDICT_PASS", alias);
        const picture = await fetch(`${gateway.url}${alias}`, { headers: { ...json, accept: "image/svg+xml" } });
        assert.equal(picture.headers.get("content-type"), "image/svg+xml");
        assert.match(await picture.text(), /^<svg .*temperature - PASS/s);
      }
    }
    const lines = [{ sampleRateHz: 10, samples: run.samples }, { samples: [20, "NaN", 20.001] }];
    const ndjson = await post(
      "/api/v1/sensors/temperature/tests:upload",
      lines.map((line) => JSON.stringify(line)).join("\n"),
      "application/x-ndjson",
    );
    const uploaded = (await ndjson.json()) as {
      status: string;
      sampleCount: string;
      analysis: { range: { missingCount: string } };
    };
    assert.deepEqual(
      [uploaded.status, uploaded.sampleCount, uploaded.analysis.range.missingCount],
      ["STATUS_COMPLETED", "203", "1"],
    );
    const bytes = new Uint8Array(Float64Array.from(calm(50_000)).buffer);
    const raw = await post("/api/v1/sensors/temperature/tests:uploadRaw?sample_rate_hz=10", bytes, "application/octet-stream");
    const { sampleCount, verdict } = (await raw.json()) as Record<string, string>;
    assert.deepEqual([sampleCount, verdict], ["50000", "VERDICT_PASS"]);
    const waiting = (await (await post("/test/temperature", "{}")).json()) as { id: string };
    const csv = await post(`/api/v1/tests/${waiting.id}:uploadRaw`, calm(100).join("\n"), "text/csv");
    assert.deepEqual(((await csv.json()) as { id: string; sampleCount: string }).sampleCount, "100");
    const types = await fetch(`${gateway.url}/api/v1/sensors`);
    assert.equal(((await types.json()) as { sensorTypes: unknown[] }).sensorTypes.length, 10);
  });

  it("with events away the verdict waits in the outbox, and is published when they come", async () => {
    const { test } = await client.runTest(run, as(annToken));
    await finished(clientAs(annToken), test?.id ?? "");
    const outbox = `http://127.0.0.1:${mesh.services.get("sensor")?.adminPort}/outbox`;
    const state = async () => (await (await fetch(outbox)).json()) as { waiting: number; parked: unknown[] };
    assert.ok((await state()).waiting > 0);
    const { events } = await import("../events/service.ts");
    const { run: start } = await import("#mesh/service.ts");
    const running = await start(events, { ...mesh.env, EVENTS_DATABASE_URL: await testDatabase() });
    try {
      await eventually("the outbox to be empty", async () => (await state()).waiting === 0);
      assert.deepEqual((await state()).parked, []);
    } finally {
      await running.stop();
    }
  });

  it("with auth killed a token is still verified by signature and the answer degraded; a wrong or expired one is refused all the same", async () => {
    assert.equal((await client.runTest(run, as(annToken))).test?.degraded, false);
    await mesh.services.get("auth")?.stop();
    const { test } = await eventually("a degraded answer", async () => {
      const answer = await client.runTest(run, as(annToken));
      return answer.test?.degraded === true ? answer : undefined;
    });
    const done = await finished(clientAs(annToken), test?.id ?? "");
    assert.deepEqual([done.status, done.verdict, done.degraded], [Status.COMPLETED, Verdict.PASS, true]);
    await refused(client.getTest({ testId: test?.id ?? "" }, as(bobToken)), Code.NotFound);

    const [head, , signature] = annToken.split(".");
    const bobsClaims = bobToken.split(".")[1];
    for (const wrong of [`${annToken}x`, `${head}.${bobsClaims}.${signature}`, "nonsense"]) {
      assert.equal(await reasonFor(client.runTest(run, as(wrong))), "TOKEN_INVALID");
    }
    const { now } = Date;
    Date.now = () => now() + 16 * 60_000;
    try {
      assert.equal(await reasonFor(client.runTest(run, as(annToken))), "TOKEN_EXPIRED");
    } finally {
      Date.now = now;
    }
  });

  function clientAs(token: string): Client<typeof SensorService> {
    return { ...client, getTest: (request) => client.getTest(request, as(token)) };
  }
});

async function reasonFor(call: Promise<unknown>): Promise<string | undefined> {
  const error = await call.then(
    () => assert.fail("expected a refusal, got an answer"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.equal(Code[error.code], "Unauthenticated", error.message);
  return reasonOf(error);
}

/** The gateway as a process of its own. */
async function startGateway({ env }: TestMesh): Promise<AsyncDisposable & { readonly url: string }> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  assert.ok(address !== null && typeof address === "object");
  probe.close();
  const entry = fileURLToPath(new URL("../../gateway/service.ts", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [entry], {
    env: { ...env, PATH: process.env.PATH, GATEWAY_PORT: String(address.port), HEDDLE_ADMIN_PORT: "0" },
    stdio: "inherit",
  });
  const url = `http://127.0.0.1:${address.port}`;
  await eventually("the gateway", () =>
    fetch(`${url}/api/v1/sensors`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

async function* each<T>(messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}
