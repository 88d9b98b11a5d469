/** Appends to the events service: by one call each, by streams, and what a subscriber gets meanwhile. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { mochaHooks, startMesh, testDatabase } from "#mesh/testing.ts";
import { until } from "../e2e/until.ts";
import { median } from "./median.ts";

const seconds = 10;
const keys = 1000;
const data = { account: "0190a0b0-0000-7000-8000-00000000000a", amount: 1999, currency: "EUR", note: "x".repeat(100) };

/**
 * The service in a process of its own, on a real PostgreSQL with fsync; the callers in this process, over gRPC. Each event has a
 * request_id, and is on disk when its answer comes.
 */
export async function events(): Promise<void> {
  await using mesh = await startMesh([]);
  const url = await testDatabase();
  const child = spawn(process.execPath, [fileURLToPath(new URL("../services/events/service.ts", import.meta.url))], {
    env: { ...mesh.env, PATH: process.env.PATH, EVENTS_DATABASE_URL: url },
    stdio: ["ignore", "inherit", "inherit"],
  });
  try {
    const client = mesh.client(EventService);
    // Many at once, since a breaker that has seen the service being absent lets only a few through at first.
    const answers = () => Promise.all(Array.from({ length: 32 }, () => client.listTopics({})));
    await until("the service", () => answers().then(Boolean, () => false), 20_000);
    for (const callers of [16, 128]) {
      const latencies: number[] = [];
      const [from, end] = [performance.now(), performance.now() + 1000 * seconds];
      await Promise.all(
        Array.from({ length: callers }, async (_, caller) => {
          for (let n = 0; performance.now() < end; n++) {
            const started = performance.now();
            await client.publishEvent({
              requestId: uuidv7(),
              topic: "calls",
              key: String((caller + n * callers) % keys),
              type: "bench.called",
              data,
            });
            latencies.push(performance.now() - started);
          }
        }),
      );
      const rate = latencies.length / ((performance.now() - from) / 1000);
      const p99 = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? 0;
      print(
        `PublishEvent, ${callers} callers: ${rate.toFixed(0)} appends/s, median ${median(latencies).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
      );
    }

    await client.publishEvent({ topic: "streams" });
    const stop = new AbortController();
    let got = 0;
    const reading = (async () => {
      for await (const { item } of client.subscribe({ topic: "streams", fromOffset: 1n }, { signal: stop.signal }))
        if (item.case === "event") got++;
    })().catch(() => undefined);
    const from = performance.now();
    const stored = await Promise.all(Array.from({ length: 4 }, () => client.publishEvents(stream(from + 1000 * seconds))));
    const took = (performance.now() - from) / 1000;
    const total = stored.reduce((sum, one) => sum + Number(one.stored), 0);
    await until("the subscriber", () => got >= total, 60_000);
    const behind = (performance.now() - from) / 1000 - took;
    print(
      `PublishEvents, 4 streams: ${(total / took).toFixed(0)} appends/s; a subscriber had all of it ${(behind * 1000).toFixed(0)} ms after the last`,
    );
    stop.abort();
    await reading;
  } finally {
    child.kill("SIGTERM");
    await once(child, "exit");
    await mochaHooks.afterAll();
  }
}

async function* stream(end: number) {
  for (let n = 0; performance.now() < end; n++) {
    yield { event: { requestId: uuidv7(), topic: "streams", key: String(n % keys), type: "bench.streamed", data } };
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
