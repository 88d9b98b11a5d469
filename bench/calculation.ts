/** How much the calculation service calculates in a second, and how late its event loop is meanwhile, with one thread and with two. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Client } from "@connectrpc/connect";
import { CalculationService } from "../gen/calculation/v1/calculation_pb.ts";
import { NumberMode } from "../gen/calculation/v1/evaluate_pb.ts";
import { startMesh } from "../mesh/testing.ts";
import { calculation as service } from "../services/calculation/service.ts";
import { median } from "./median.ts";

const rounds = 5;
/** How long one round of one subject takes, in milliseconds. */
const roundMs = 2000;

type Calls = Client<typeof CalculationService>;

/** What is measured: one call, and how many of its units it does. */
interface Subject {
  readonly name: string;
  readonly unit: string;
  call(client: Calls): Promise<number>;
}

const iterations = 200_000;
const flows = ["-10000", ...Array.from({ length: 120 }, (_, month) => String(100 + month))];

const subjects: readonly Subject[] = [
  {
    name: "Monte Carlo, npv of 4 flows with 2 random inputs",
    unit: "iterations",
    async call(client) {
      await client.runMonteCarlo({
        expression: "npv(rate, [-cost, gain, gain * growth, gain * growth^2])",
        inputs: [
          { name: "gain", distribution: { case: "normal", value: { mean: 400, standardDeviation: 80 } } },
          { name: "growth", distribution: { case: "triangular", value: { min: 0.9, mode: 1.1, max: 1.2 } } },
        ],
        constants: { rate: 0.08, cost: 1000 },
        iterations,
      });
      return iterations;
    },
  },
  {
    name: "an expression in decimals",
    unit: "calls",
    async call(client) {
      await client.evaluate({ expression: "19.99 * 3 * (1 + 0.19)", numberMode: NumberMode.DECIMAL });
      return 1;
    },
  },
  {
    name: "roi, npv, irr and paybacks of 120 gains",
    unit: "calls",
    async call(client) {
      await client.calculateReturnOnInvestment({ initialCost: "10000", gains: flows.slice(1), discountRate: 0.01 });
      return 1;
    },
  },
];

/** Five rounds of each after one to warm up, by four callers at a time over gRPC; the service runs in the process of the bench. */
export async function calculation(): Promise<void> {
  for (const threads of [1, 2]) {
    await using mesh = await startMesh([service], { env: { CALCULATION_THREADS: String(threads) } });
    const client = mesh.client(CalculationService);
    const rates = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    for (let round = 0; round <= rounds; round++) {
      if (round === 1) delay.enable();
      for (const subject of subjects) {
        const rate = await measure(client, subject);
        if (round > 0) rates.get(subject.name)?.push(rate);
      }
    }
    delay.disable();
    for (const { name, unit } of subjects) {
      const some = rates.get(name) ?? [];
      const [low, high] = [Math.min(...some), Math.max(...some)].map(Math.round);
      console.log(
        `${threads} thread(s), ${name}: ${Math.round(median(some))} ${unit}/s (median of ${rounds}: ${low} to ${high})`,
      );
    }
    console.log(`${threads} thread(s): event loop delay p99 ${(delay.percentile(99) / 1e6 - 1).toFixed(1)} ms, callers included`);
  }
}

async function measure(client: Calls, { call }: Subject): Promise<number> {
  const from = performance.now();
  let done = 0;
  const callers = Array.from({ length: 4 }, async () => {
    while (performance.now() - from < roundMs) done += await call(client);
  });
  await Promise.all(callers);
  return (done / (performance.now() - from)) * 1000;
}
