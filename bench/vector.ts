/** How fast the vector service searches and takes items in, over gRPC, at 20,000 x 256. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Client } from "@connectrpc/connect";
import { Embedding } from "../gen/vector/v1/collection_pb.ts";
import { SearchMode, VectorService } from "../gen/vector/v1/vector_pb.ts";
import { mochaHooks, startMesh, testDatabase } from "../mesh/testing.ts";
import { latentVectors } from "../services/vector/vectors.fixture.ts";

const count = 20_000;
const dimensions = 256;
const searches = 1000;
const collection = "bench";

/** The service is a process of its own. Each kind of search is made 1,000 times, one after the other and eight at the same time. */
export async function vector(): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => mochaHooks.afterAll());
  const mesh = undo.use(await startMesh([], { env: { VECTOR_DATABASE_URL: await testDatabase() } }));
  const env = { PATH: process.env.PATH, ...mesh.env, HEDDLE_LOG_LEVEL: "warn" };
  const service = spawn(process.execPath, ["services/vector/service.ts"], { env, stdio: ["ignore", "inherit", "inherit"] });
  undo.defer(async () => {
    const exited = once(service, "exit");
    service.kill("SIGTERM");
    await exited;
  });
  const client = mesh.client(VectorService);
  await until("the service to start", async () => (await client.getStats({})).models.length > 0);

  const { items, queries } = latentVectors(count, 100, dimensions);
  await client.createCollection({ collection: { name: collection, dimensions, embedding: Embedding.NONE } });
  const from = performance.now();
  await client.upsertItems(messages(items));
  console.log(`${Math.round((count / (performance.now() - from)) * 1000)} items/s stored by a stream`);
  await client.search({ collection, vector: Array.from(items[0] ?? []) });
  await until("the graph to grow", async () => (await client.getStats({})).indexes[0]?.pendingCount === 0n);

  const text = (at: number) => `note ${at} of ${at % 97}`;
  const kinds: Readonly<Record<string, (at: number) => object>> = {
    vector: (at) => ({ vector: Array.from(queries[at % queries.length] ?? []), mode: SearchMode.VECTOR }),
    exact: (at) => ({ vector: Array.from(queries[at % queries.length] ?? []), mode: SearchMode.VECTOR, exact: true }),
    text: (at) => ({ query: text(at), mode: SearchMode.TEXT }),
    hybrid: (at) => ({ query: text(at), vector: Array.from(queries[at % queries.length] ?? []), mode: SearchMode.HYBRID }),
  };
  for (const [name, requestOf] of Object.entries(kinds)) {
    await measure(client, requestOf, 1, 100);
    const alone = await measure(client, requestOf, 1, searches);
    const together = await measure(client, requestOf, 8, searches);
    console.log(`${name}: p50 ${alone.p50} ms, p99 ${alone.p99} ms; eight at once ${together.rate}/s, p99 ${together.p99} ms`);
  }
}

async function measure(client: Client<typeof VectorService>, requestOf: (at: number) => object, workers: number, total: number) {
  const times: number[] = [];
  let next = 0;
  const from = performance.now();
  const work = Array.from({ length: workers }, async () => {
    while (next < total) {
      const started = performance.now();
      await client.search({ collection, topK: 10, ...requestOf(next++) });
      times.push(performance.now() - started);
    }
  });
  await Promise.all(work);
  const rate = Math.round((total / (performance.now() - from)) * 1000);
  times.sort((a, b) => a - b);
  const at = (part: number) => (times[Math.ceil(times.length * part) - 1] ?? 0).toFixed(2);
  return { rate, p50: at(0.5), p99: at(0.99) };
}

async function* messages(vectors: readonly Float32Array[]) {
  for (let first = 0; first < vectors.length; first += 200) {
    const items = vectors.slice(first, first + 200).map((vector, at) => {
      return { id: String(first + at), text: `note ${first + at} of ${(first + at) % 97}`, vector: Array.from(vector) };
    });
    yield { collection, items };
  }
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 300_000; performance.now() < end; ) {
    if (await condition().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain for ${what}`);
}
