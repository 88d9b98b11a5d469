/** The fuzzer: random contracts, random requests over real sockets, and an oracle that says what each must come to. */
import { metrics as otelMetrics, trace as otelTrace } from "@opentelemetry/api";
import pino from "pino";
import { configs, meshOver } from "../fixtures/harness.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { ChangingContracts, type ContractFiles } from "../sources/source.ts";
import { FuzzClient } from "./client.ts";
import { type MadeContract, randomContract } from "./contract.ts";
import { judge, type Outcome } from "./judge.ts";
import { expectationOf } from "./oracle.ts";
import { Random } from "./random.ts";
import { Recorder } from "./recorder.ts";
import { randomRequest } from "./request.ts";

/** How much to do. */
export interface FuzzOptions {
  readonly requests: number;
  readonly seed: number;
  /** Requests under way at once. Default 16. */
  readonly connections?: number;
  /** Requests to one contract before the next is swapped in. Default 1,000. */
  readonly perContract?: number;
  /** Hears of progress, after each contract. */
  readonly onProgress?: (done: number) => void;
}

/** A request that did not come to what it must. */
export interface Finding extends Outcome {
  readonly what: string;
}

/** What came of it. */
export interface FuzzReport {
  requests: number;
  contracts: number;
  rules: number;
  /** Requests that reached the backend with the message that the oracle made. */
  served: number;
  /** Answers by status; 0 for none. */
  readonly statuses: Map<number, number>;
  /** Requests of which the oracle knows only that they are no 5xx. */
  unknowable: number;
  /** The first hundred. */
  readonly findings: Finding[];
  found: number;
}

/** How long an answer may take before it counts as a hang, in milliseconds. */
const hangMs = 10_000;

/** Runs. */
export async function fuzz({
  requests,
  seed,
  connections = 16,
  perContract = 1000,
  onProgress,
}: FuzzOptions): Promise<FuzzReport> {
  const random = new Random(seed);
  let contract = randomContract(random, 0);
  const source = new Turns(filesOf(contract));
  const recorder = new Recorder(contract.types);
  const gateway = await startFuzzed(source, recorder);
  const clients = random.times(connections, () => new FuzzClient(gateway.port));
  const report: FuzzReport = {
    ...{ requests: 0, contracts: 0, rules: 0, served: 0, unknowable: 0, found: 0 },
    ...{ statuses: new Map<number, number>(), findings: [] as Finding[] },
  };
  const one = async (client: FuzzClient): Promise<void> => {
    const request = randomRequest(random, contract);
    const expected = expectationOf(contract, request);
    const id = String(report.requests++);
    const calls = recorder.listen(id);
    const reply = await client.send(request, id, hangMs);
    recorder.forget(id);
    note(report, { contract, request, expected, reply, calls });
  };
  try {
    while (report.requests < requests) {
      if (report.contracts > 0) {
        contract = randomContract(random, report.contracts);
        source.turn(filesOf(contract));
        recorder.types = contract.types;
      }
      report.contracts++;
      report.rules += contract.rules.length;
      const end = Math.min(report.requests + perContract, requests);
      await Promise.all(
        clients.map(async (client) => {
          while (report.requests < end) await one(client);
        }),
      );
      onProgress?.(report.requests);
    }
  } finally {
    for (const client of clients) client[Symbol.dispose]();
    await gateway.drain(0);
  }
  return report;
}

function note(report: FuzzReport, outcome: Outcome): void {
  const { expected, reply } = outcome;
  const status = reply?.status ?? 0;
  report.statuses.set(status, (report.statuses.get(status) ?? 0) + 1);
  if (expected.kind === "any") report.unknowable++;
  const what = judge(outcome);
  if (what === undefined && expected.kind === "call") report.served++;
  if (what !== undefined && report.found++ < 100) report.findings.push({ ...outcome, what });
}

/** A gateway as users have it, but for its rates and its log. */
function startFuzzed(contracts: ChangingContracts, recorder: Recorder): Promise<Gateway> {
  return startGateway({
    host: "127.0.0.1",
    port: 0,
    contracts,
    mesh: meshOver(recorder.transport),
    serviceConfigs: configs({}),
    openByDefault: true,
    rateLimit: { perSecond: 0, burst: 0 },
    templates: { allowSuffixAfterDeepWildcard: true },
    log: pino({ level: "silent" }),
    metrics: { meter: otelMetrics.getMeter("fuzz"), text: async () => "", async [Symbol.asyncDispose]() {} },
    tracing: { tracer: otelTrace.getTracer("fuzz"), async [Symbol.asyncDispose]() {} },
  });
}

/** Contracts that change when they are told to. */
class Turns extends ChangingContracts {
  get floor(): ContractFiles {
    return this.current;
  }

  turn(next: ContractFiles): void {
    this.publish(() => next);
  }

  [Symbol.dispose](): void {}
}

function filesOf({ files }: MadeContract): ContractFiles {
  return { origin: "fuzz", files, services: undefined };
}
