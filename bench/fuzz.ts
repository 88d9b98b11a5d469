/**
 * `node bench/fuzz.ts --requests 1000000 --seed 1`: random requests over random contracts against the gateway in this process, each held against
 * an oracle. Prints what it finds, and the heap after a collection at a tenth of the requests and at the end; exits with 1 when there is any
 * finding.
 */

import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describeFinding } from "../gateway/fuzz/describe.ts";
import { fuzz } from "../gateway/fuzz/fuzz.ts";

const { values } = parseArgs({
  options: { requests: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } },
});
const [requests, seed] = [Number(values.requests), Number(values.seed)];

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const heaps: string[] = [];
let next = requests / 10;

const started = performance.now();
const report = await fuzz({
  requests,
  seed,
  onProgress(done) {
    if (done < next) return;
    collect();
    collect();
    heaps.push((process.memoryUsage().heapUsed / 2 ** 20).toFixed(1));
    process.stdout.write(`${done} requests, heap ${heaps.at(-1)} MB\n`);
    next += requests / 10;
  },
});
const seconds = (performance.now() - started) / 1000;

for (const finding of report.findings.slice(0, 20)) process.stdout.write(`\n- ${describeFinding(finding)}\n`);
const statuses = [...report.statuses].toSorted(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
process.stdout.write(
  [
    "",
    `seed ${seed}: ${report.requests} requests over ${report.contracts} contracts with ${report.rules} rules, in ${seconds.toFixed(0)} s`,
    `${Math.round(report.requests / seconds)} requests/s with the oracle's work`,
    `answers: ${statuses.join(", ")}`,
    `served as the oracle says: ${report.served}; known only not to be a 5xx: ${report.unknowable}`,
    `heap after a collection, at each tenth: ${heaps.join(", ")} MB`,
    `findings: ${report.found}`,
    "",
  ].join("\n"),
);
process.exitCode = report.found === 0 ? 0 : 1;
