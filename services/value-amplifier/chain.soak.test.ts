/**
 * The chain loses nothing and does nothing twice, whatever is killed: deals go from model to strategy while each of the four services, and
 * events, die at random (kill -9) and are started again.
 *
 * Short: 8 deals, and each of the five is killed once. With HEDDLE_SOAK=1: 100 deals, a kill every 2 s; all within the quarter of an hour of a token.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { ValueStage } from "#gen/value/v1/realisation_pb.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { auth } from "../auth/service.ts";
import { type Chain, chainOf, day, eventually, newCommitment, newModel } from "./chain.fixture.ts";

const long = process.env.HEDDLE_SOAK === "1";
const total = long ? 100 : 8;
const atOnce = long ? 8 : 4;
const killEveryMs = 2000;
/** Milliseconds between two steps of a deal, so that the kills fall among them. */
const pauseMs = long ? 100 : 400;
const patienceMs = long ? 600_000 : 90_000;
const services = ["events", "value-architect", "value-committer", "value-executor", "value-amplifier"];

/** What is told of a deal, each as often as it happens. */
const told = [
  ...["value.commitment.approved", "value.commitment.created", "value.commitment.proposed", "value.commitment.signed"],
  ...["value.delivery.completed", "value.delivery.created", "value.milestone.completed", "value.milestone.completed"],
  ...[
    "value.milestone.started",
    "value.milestone.started",
    "value.model.approved",
    "value.model.created",
    "value.model.submitted",
  ],
  ...["value.realisation.recorded", "value.strategy.proposed", "value.strategy.started"],
];

describe("the value chain under kills", function () {
  this.timeout(long ? 1_800_000 : 180_000);

  it(`${total} deals: every event once, every effect once`, async () => {
    await using undo = new AsyncDisposableStack();
    const databases: Record<string, string> = {};
    for (const name of services) databases[`${name.toUpperCase().replaceAll("-", "_")}_DATABASE_URL`] = await testDatabase();
    const mesh = undo.use(await startMesh([auth], { env: { AUTH_DATABASE_URL: await testDatabase() } }));
    const processes = await Promise.all(services.map((name) => startProcess(undo, name, { ...mesh.env, ...databases })));
    const chain = persistent(chainOf(mesh), await signUp(mesh));
    const stop = new AbortController();
    const from = performance.now();
    const kills = killing(processes, stop.signal);
    const deals: string[] = [];
    let begun = 0;
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (begun++ < total) deals.push(await makeDeal(chain));
      }),
    );
    // No more victims now: a tail that is killed again and again ends by chance.
    if (long) stop.abort();
    const killed = await kills;
    const seconds = ((performance.now() - from) / 1000).toFixed(1);
    for (const modelId of deals) await assertWhole(mesh, chain, modelId);
    const names = Object.entries(killed).map(([name, count]) => `${name} ${count}`);
    console.log(`      ${total} deals in ${seconds} s, ${total * told.length} events; killed: ${names.join(", ")}`);
    console.log("      0 lost, 0 doubled");
  });
});

/** One deal from its model to a strategy that is running. Every call is repeated until there is an answer. */
async function makeDeal({ architect, committer, executor, amplifier }: Chain): Promise<string> {
  const { model } = await architect.createModel(newModel());
  const modelId = model?.id ?? "";
  await architect.submitModel({ modelId });
  await sleep(pauseMs);
  await architect.approveModel({ modelId });
  const { commitment } = await committer.createCommitment(newCommitment(modelId));
  const commitmentId = commitment?.id ?? "";
  await committer.proposeCommitment({ commitmentId });
  await sleep(pauseMs);
  await committer.signCommitment({ commitmentId, signatory: "A. Nn" });
  const delivery = await eventually(
    "the delivery",
    async () => (await executor.listDeliveries({ commitmentId })).deliveries[0],
    patienceMs,
  );
  for (const { id: milestoneId } of delivery.milestones) {
    await executor.startMilestone({ milestoneId });
    await sleep(pauseMs);
    await executor.completeMilestone({ milestoneId, actualDate: day(0) });
  }
  await executor.completeDelivery({ deliveryId: delivery.id });
  const hypothesisId = model?.hypotheses[0]?.id ?? "";
  const measured = { requestId: randomUUID(), modelId, hypothesisId, actual: 2.5, measureDate: day(0) };
  await eventually("the delivery's end", async () => amplifier.recordRealisation(measured).catch(notYet), patienceMs);
  await sleep(pauseMs);
  const idea = {
    requestId: randomUUID(),
    modelId,
    hypothesisId,
    title: "More",
    effect: 1,
    confidence: 1,
    reach: 1,
    effortDays: 1,
  };
  const { strategy } = await amplifier.createStrategy(idea);
  await amplifier.startStrategy({ strategyId: strategy?.id ?? "" });
  return modelId;
}

/** Somebody whose token outlives the test. */
async function signUp(mesh: TestMesh): Promise<CallOptions> {
  const credentials = { email: "ann@example.com", password: "a good long passphrase" };
  await mesh.client(AuthService).register({ ...credentials, name: "Ann" });
  const { accessToken } = await mesh.client(AuthService).login(credentials);
  return { headers: { authorization: `Bearer ${accessToken}` } };
}

/** Holds the traces of a deal in all five services to what happened. */
async function assertWhole(mesh: TestMesh, { architect, committer, executor, amplifier }: Chain, modelId: string): Promise<void> {
  const whole = async () => {
    const { progress } = await amplifier.getModelProgress({ modelId });
    return progress !== undefined && Number(progress.lastNumber) >= told.length && progress;
  };
  const { lastNumber, stage, signedCommitments, signedAmount, deliveries, completedDeliveries, realisedGain } = await eventually(
    `the last event of ${modelId}`,
    whole,
    patienceMs,
  );
  assert.deepEqual(
    [Number(lastNumber), stage, signedCommitments, signedAmount, deliveries, completedDeliveries, realisedGain],
    [told.length, ValueStage.AMPLIFIED, 1, 60_000n, 1, 1, 50_000n],
  );
  const types: string[] = [];
  for await (const { change } of amplifier.watchModelProgress({ modelId })) {
    types.push(change?.type ?? "");
    if (types.length === told.length) break;
  }
  assert.deepEqual(types.toSorted(), told);
  assert.deepEqual((await eventsOf(mesh, modelId)).toSorted(), told);
  assert.equal((await committer.listCommitments({ modelId })).commitments.length, 1);
  assert.equal((await executor.listDeliveries({ modelId })).deliveries.length, 1);
  assert.equal((await amplifier.listRealisations({ modelId })).realisations.length, 1);
  assert.equal((await amplifier.listStrategies({ modelId })).strategies.length, 1);
  await eventually(
    "the finding",
    async () => (await architect.getModel({ modelId })).model?.hypotheses[0]?.finding?.actual === 2.5,
  );
}

const readEvents = new Map<string, string[]>();

/** The types of the events of a model, in the topic itself. */
async function eventsOf(mesh: TestMesh, modelId: string): Promise<readonly string[]> {
  if (!readEvents.has(modelId)) {
    readEvents.clear();
    for (let pageToken = ""; ; ) {
      const page = await mesh.client(EventService).listEvents({ topic: "value", pageSize: 1000, pageToken });
      for (const { key, type } of page.events) readEvents.set(key, [...(readEvents.get(key) ?? []), type]);
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
  }
  return readEvents.get(modelId) ?? [];
}

/** The amplifier has not heard of the delivery's end, or not of the model. */
function notYet(error: unknown): undefined {
  const { code } = ConnectError.from(error);
  if (code !== Code.FailedPrecondition && code !== Code.NotFound) throw error;
}

/** The same clients, whose unary calls are repeated until there is an answer, as a script would do it. */
function persistent(chain: Chain, as: CallOptions): Chain {
  const patient = <C extends object>(client: C): C =>
    new Proxy(client, {
      get(target, name) {
        const method = Reflect.get(target, name) as (request: object, options: CallOptions) => unknown;
        if (name === "watchModelProgress") return (request: object) => method(request, as);
        return async (request: object) => {
          for (const end = performance.now() + patienceMs; ; ) {
            try {
              return await method(request, as);
            } catch (error) {
              if (!passing.has(ConnectError.from(error).code) || performance.now() > end) throw error;
              await sleep(50);
            }
          }
        };
      },
    });
  return {
    architect: patient(chain.architect),
    committer: patient(chain.committer),
    executor: patient(chain.executor),
    amplifier: patient(chain.amplifier),
  };
}

const passing: ReadonlySet<Code> = new Set([
  ...[Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled, Code.Unknown, Code.Internal, Code.ResourceExhausted],
]);

/** A process that is killed and started again. */
interface Victim {
  readonly name: string;
  kill(): Promise<void>;
}

/** Kills each in turn, in another order each turn: one turn in the short form, no end in the long one. Answers with how often. */
async function killing(victims: readonly Victim[], signal: AbortSignal): Promise<Record<string, number>> {
  const killed: Record<string, number> = {};
  for (let order = shuffled(victims); order.length > 0 && !signal.aborted; ) {
    await sleep(killEveryMs * (0.25 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    const victim = order.pop();
    if (signal.aborted || victim === undefined) break;
    await victim.kill();
    killed[victim.name] = (killed[victim.name] ?? 0) + 1;
    if (order.length === 0 && long) order = shuffled(victims);
  }
  return killed;
}

function shuffled<T>(items: readonly T[]): T[] {
  const mixed = items.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at);
  return mixed.map(({ item }) => item);
}

async function startProcess(undo: AsyncDisposableStack, name: string, env: Record<string, string>): Promise<Victim> {
  const program = fileURLToPath(new URL(`../${name}/service.ts`, import.meta.url));
  const cache = fileURLToPath(new URL("../../node_modules/.cache/heddle", import.meta.url));
  let child: ChildProcess | undefined;
  const start = async () => {
    const environment = { PATH: process.env.PATH, NODE_COMPILE_CACHE: cache, ...env, HEDDLE_LOG_LEVEL: "info" };
    const started = spawn(process.execPath, [program], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
    const ready = Promise.withResolvers<void>();
    started.stdout.on("data", (text: Buffer) => text.includes('"serving"') && ready.resolve());
    started.once("exit", () => ready.reject(new Error(`${name} ended`)));
    ready.promise.catch(() => undefined);
    child = started;
    await ready.promise;
  };
  const end = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  undo.defer(end);
  await start();
  return {
    name,
    async kill() {
      await end();
      await start();
    },
  };
}
