/** What collecting from 500 instances costs the metrics service: a process of its own, on PostgreSQL; the instances are in this one. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MetricsService } from "../gen/metrics/v1/metrics_pb.ts";
import { startProcess, stopProcess } from "../mesh/process.fixture.ts";
import { serverMetrics } from "../mesh/server/observe.ts";
import { createMetrics } from "../mesh/telemetry/metrics.ts";
import { mochaHooks, startMesh, testDatabase } from "../mesh/testing.ts";
import { answering, fakeDiscovery, fakeInstance } from "../services/metrics/metrics.fixture.ts";
import type { Target } from "../services/metrics/target.ts";
import { cpuSeconds } from "./cpu-seconds.ts";

const serviceCount = 20;
const instancesOfEach = 25;
const methodsOfEach = 10;
/** Seconds before the measurement and of it. */
const warmUp = 25;
const measured = 60;
/** How often an instance is asked meanwhile, and a few times more. */
const versionCount = Math.ceil((warmUp + measured) / 10) + 6;

/** 500 instances of 20 services, asked each 10 s for a minute; what they answer is made by the mesh's own metrics, and grows. */
export async function metrics(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => mochaHooks.afterAll());
  const targets: Target[] = [];
  let [answers, bytes] = [0, 0];
  for (let service = 0; service < serviceCount; service++) {
    const versions = await texts(`service-${service}`);
    for (let instance = 0; instance < instancesOfEach; instance++) {
      const id = `service-${service}-${instance}`;
      let version = 0;
      const text = () => {
        const body = `${versions[Math.min(version++, versionCount - 1)]}# TYPE own gauge\nown{instance="${id}"} ${version}\n`;
        answers++;
        bytes += body.length;
        return body;
      };
      targets.push(undo.use(await fakeInstance(`service-${service}`, id, answering(text))).target);
    }
  }

  const mesh = undo.use(await startMesh([fakeDiscovery(() => targets)], { env: { METRICS_DATABASE_URL: await testDatabase() } }));
  const client = mesh.client(MetricsService);
  const module = new URL("../services/metrics/service.ts", import.meta.url);
  const service = await startProcess({ mesh, module, env: { HEDDLE_LOG_LEVEL: "warn" }, ask: () => client.getSummary({}) });
  undo.defer(() => stopProcess(service));
  await sleep(warmUp * 1000);
  const [cpu, asked, read, from] = [cpuSeconds(service.pid), answers, bytes, performance.now()];
  await sleep(measured * 1000);
  const seconds = (performance.now() - from) / 1000;
  const share = (cpuSeconds(service.pid) - cpu) / seconds;
  const { traffic, upCount, slowest, collection } = await client.getSummary({});
  const count = answers - asked;
  console.log(`      ${targets.length} instances, ${count} answers in ${seconds.toFixed(1)} s`);
  console.log(
    `      ${Math.round((bytes - read) / count / 1000)} kB each with ${(await client.getMetrics({ service: "service-0" })).metrics?.instances[0]?.sampleCount} samples`,
  );
  console.log(`      ${(share * 100).toFixed(1)} % of a core`);
  console.log(`      ${memory(service.pid)}`);
  console.log(
    `      up ${upCount}, ${Number(traffic?.calls)} calls in the last minute, p99 ${slowest[0]?.traffic?.p99Seconds?.toFixed(4)} s, ` +
      `windows waiting ${collection?.pendingWindows}, dropped ${collection?.droppedWindows}`,
  );
}

/** What a process of the service answers, at first and each 10 s later: 10 methods, of which 3 fail at times, and its calls to others. */
async function texts(service: string): Promise<string[]> {
  await using own = createMetrics({ service, instance: service, version: "1" });
  const server = serverMetrics(own.meter);
  const client = own.meter.createHistogram("grpc.client.attempt.duration", {
    unit: "s",
    advice: { explicitBucketBoundaries: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10] },
  });
  const versions: string[] = [];
  let random = 1;
  for (let version = 0; version < versionCount; version++) {
    for (let call = 0; call < 300; call++) {
      random = (random * 48_271) % 2_147_483_647;
      const method = `${service}.v1.Service/Method${random % methodsOfEach}`;
      server.started(method);
      server.ended(method, random % methodsOfEach < 3 && random % 7 === 0 ? "UNAVAILABLE" : "OK", (random / 2 ** 31) ** 4);
      client.record(random / 2 ** 31, { "grpc.method": method, "grpc.target": "other", "grpc.status": "OK" });
    }
    versions.push(await own.text());
  }
  return versions;
}

function memory(pid: number | undefined): string {
  const [, pss = "0"] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [];
  return `${Math.round(Number(pss) / 1024)} MiB PSS`;
}
