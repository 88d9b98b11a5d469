import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type CallOptions, Code } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { CommitmentState } from "#gen/value/v1/commitment_pb.ts";
import { MilestoneState } from "#gen/value/v1/delivery_pb.ts";
import { ModelState } from "#gen/value/v1/model_pb.ts";
import { HypothesisVerdict, StrategyState, ValueStage } from "#gen/value/v1/realisation_pb.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { auth } from "../auth/service.ts";
import { events } from "../events/service.ts";
import { valueArchitect } from "../value-architect/service.ts";
import { valueCommitter } from "../value-committer/service.ts";
import { valueExecutor } from "../value-executor/service.ts";
import {
  approvedModel,
  type Chain,
  chainOf,
  day,
  deliver,
  deliveryOf,
  eventually,
  newCommitment,
  newModel,
  refused,
  signedCommitment,
} from "./chain.fixture.ts";
import { valueAmplifier } from "./service.ts";

interface Person extends CallOptions {
  readonly id: string;
}

describe("the value chain", function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  let chain: Chain;
  let [ann, bob, eve]: Person[] = [];

  before(async () => {
    const services = [auth, events, valueArchitect, valueCommitter, valueExecutor, valueAmplifier];
    mesh = await startMesh(services, { env: { AUTH_DATABASE_URL: await testDatabase() } });
    chain = chainOf(mesh);
    [ann, bob, eve] = await Promise.all(["ann", "bob", "eve"].map((name) => signUp(name)));
  });
  after(() => mesh[Symbol.asyncDispose]());

  async function signUp(name: string): Promise<Person> {
    const credentials = { email: `${name}@example.com`, password: "a good long passphrase" };
    await mesh.client(AuthService).register({ ...credentials, name });
    const { accessToken, user } = await mesh.client(AuthService).login(credentials);
    return { id: user?.id ?? "", headers: { authorization: `Bearer ${accessToken}` } };
  }
  const people = () => ({ ann: ann ?? assert.fail(), bob: bob ?? assert.fail(), eve: eve ?? assert.fail() });

  it("goes from a hypothesis to a ranked strategy, and every step is an event that the others hear", async () => {
    const { ann } = people();
    const { id: modelId, hypotheses } = await approvedModel(chain, ann);
    const [conversion, tickets] = hypotheses.map(({ id }) => id);
    const commitmentId = await signedCommitment(chain, modelId, ann);
    const { id: deliveryId } = await deliveryOf(chain, commitmentId, ann);
    await refused(record(modelId, conversion, 2.5, ann), Code.FailedPrecondition, "NOTHING_DELIVERED");
    await deliver(chain, deliveryId, ann);
    await eventually("the delivery's end", async () => (await progress(modelId, ann))?.completedDeliveries === 1);
    await record(modelId, conversion, 2.5, ann);
    await record(modelId, tickets, 380, ann);

    const seen = await progress(modelId, ann);
    assert.deepEqual(
      seen?.hypotheses.map(({ realisedShare, realisedGain, verdict }) => [realisedShare, realisedGain, verdict]),
      [
        [0.5, 50_000n, HypothesisVerdict.UNDERWAY],
        [1.2, 60_000n, HypothesisVerdict.CONFIRMED],
      ],
    );
    assert.deepEqual(
      [seen?.fullGain, seen?.expectedGain, seen?.realisedGain, seen?.signedAmount],
      [150_000n, 90_000n, 110_000n, 60_000n],
    );

    const weak = await propose(modelId, tickets, { title: "weak", effect: 0.1 }, ann);
    const strong = await propose(modelId, conversion, { title: "strong", effect: 0.6 }, ann);
    assert.deepEqual([weak?.rank, strong?.rank], [1, 1]);
    await chain.amplifier.startStrategy({ strategyId: weak?.id ?? "" }, ann);
    const { strategies } = await chain.amplifier.listStrategies({ modelId }, ann);
    assert.deepEqual(
      strategies.map(({ title, rank, score, state }) => [title, rank, score, state]),
      [
        ["strong", 1, 0.6 * 100_000 * 0.5 * 0.5 * 0.1, StrategyState.PROPOSED],
        ["weak", 2, 0.1 * 50_000 * 0.75 * 0.5 * 0.1, StrategyState.RUNNING],
      ],
    );
    await eventually("the last event", async () => (await progress(modelId, ann))?.lastNumber === 18n);
    assert.equal((await progress(modelId, ann))?.stage, ValueStage.AMPLIFIED);
    const findings = await eventually("the findings", async () => {
      const { model } = await chain.architect.getModel({ modelId }, ann);
      return model?.hypotheses.every(({ finding }) => finding !== undefined) === true && model.hypotheses;
    });
    assert.deepEqual(
      findings.map(({ finding }) => [finding?.actual, finding?.realisedShare, finding?.measureDate]),
      [
        [2.5, 0.5, day(0)],
        [380, 1.2, day(0)],
      ],
    );
  });

  it("shows a model's way as it goes, resumed behind a number", async () => {
    const { ann } = people();
    const { model } = await chain.architect.createModel(newModel(), ann);
    const modelId = model?.id ?? "";
    await eventually("the first event", () => progress(modelId, ann));
    const seen: string[] = [];
    const leave = new AbortController();
    const watching = (async () => {
      for await (const { change } of chain.amplifier.watchModelProgress({ modelId }, { ...ann, signal: leave.signal })) {
        seen.push(`${change?.number} ${change?.type} ${change?.stage}: ${change?.summary}`);
      }
    })().catch(() => undefined);
    await eventually("what was", async () => seen.length === 1);
    await chain.architect.submitModel({ modelId }, ann);
    await chain.architect.returnModel({ modelId, reason: "why?" }, ann);
    await chain.architect.submitModel({ modelId }, ann);
    await chain.architect.approveModel({ modelId }, ann);
    await eventually("all of it", async () => seen.length === 5);
    leave.abort();
    await watching;
    assert.deepEqual(seen, [
      '1 value.model.created 1: version 1 of "Checkout" was created',
      '2 value.model.submitted 1: version 1 of "Checkout" was submitted',
      '3 value.model.returned 1: version 1 of "Checkout" was returned',
      '4 value.model.submitted 1: version 1 of "Checkout" was submitted',
      '5 value.model.approved 2: version 1 of "Checkout" was approved',
    ]);
    for await (const { change } of chain.amplifier.watchModelProgress({ modelId, afterNumber: 4n }, ann)) {
      assert.equal(change?.number, 5n);
      break;
    }
  });

  it("a repeat under the same request_id makes nothing new; with other content it is ALREADY_EXISTS", async () => {
    const { ann } = people();
    const asked = newModel();
    const first = await chain.architect.createModel(asked, ann);
    const again = await chain.architect.createModel(asked, ann);
    assert.equal(again.model?.id, first.model?.id);
    await refused(chain.architect.createModel({ ...asked, title: "Other" }, ann), Code.AlreadyExists);
    const modelId = first.model?.id ?? "";
    const addition = { requestId: "one-more", modelId, hypothesis: { ...asked.hypotheses[0], driver: "Third" } };
    const added = await chain.architect.addHypothesis(addition, ann);
    assert.deepEqual(await chain.architect.addHypothesis(addition, ann), added);
    const other = { ...addition, hypothesis: { ...addition.hypothesis, driver: "Fourth" } };
    await refused(chain.architect.addHypothesis(other, ann), Code.AlreadyExists);
    assert.equal((await chain.architect.listHypotheses({ modelId }, ann)).hypotheses.length, 3);

    const { id } = await approvedModel(chain, ann);
    const order = newCommitment(id);
    const commitment = await chain.committer.createCommitment(order, ann);
    assert.equal((await chain.committer.createCommitment(order, ann)).commitment?.id, commitment.commitment?.id);
    await refused(chain.committer.createCommitment({ ...order, amount: 1n }, ann), Code.AlreadyExists);
  });

  it("each version of a model goes its own way, and the next one to be approved supersedes it, for commitments too", async () => {
    const { ann } = people();
    const { id: modelId } = await approvedModel(chain, ann);
    await refused(
      chain.architect.updateModel({ model: { id: modelId, title: "Other" } }, ann),
      Code.FailedPrecondition,
      "MODEL_NOT_IN_DRAFT",
    );
    const { commitment } = await chain.committer.createCommitment(newCommitment(modelId), ann);
    const { model: second } = await chain.architect.reviseModel({ modelId }, ann);
    assert.deepEqual([second?.version, second?.state, second?.hypotheses.length], [2, ModelState.DRAFT, 2]);
    assert.equal((await chain.architect.reviseModel({ modelId }, ann)).model?.version, 2);
    const mask = { paths: ["investment"] };
    await chain.architect.updateModel({ model: { id: modelId, investment: 5n, title: "left as it is" }, updateMask: mask }, ann);
    await chain.architect.submitModel({ modelId }, ann);
    await refused(chain.architect.approveModel({ modelId, version: 1 }, ann), Code.FailedPrecondition, "OTHER_VERSION");
    await chain.architect.approveModel({ modelId, version: 2 }, ann);
    const { models } = await chain.architect.listModelVersions({ modelId }, ann);
    assert.deepEqual(
      models.map(({ version, state, investment, title }) => [version, state, investment, title]),
      [
        [2, ModelState.APPROVED, 5n, "Checkout"],
        [1, ModelState.SUPERSEDED, 60_000n, "Checkout"],
      ],
    );
    const commitmentId = commitment?.id ?? "";
    await eventually("the committer to hear", async () => {
      const made = await chain.committer.createCommitment(newCommitment(modelId), ann);
      return made.commitment?.modelVersion === 2;
    });
    await refused(chain.committer.proposeCommitment({ commitmentId }, ann), Code.FailedPrecondition, "MODEL_SUPERSEDED");
  });

  it("reviewers and approvers see what waits for them, and nothing else; strangers see nothing", async () => {
    const { ann, bob, eve } = people();
    const { model } = await chain.architect.createModel(newModel({ reviewerIds: [bob.id] }), ann);
    const modelId = model?.id ?? "";
    await refused(chain.architect.getModel({ modelId }, bob), Code.NotFound);
    await chain.architect.submitModel({ modelId }, ann);
    const waiting = await chain.architect.listModels({ toReview: true }, bob);
    assert.deepEqual(
      waiting.models.map(({ id }) => id),
      [modelId],
    );
    await refused(chain.architect.submitModel({ modelId }, bob), Code.PermissionDenied, "NOT_THE_OWNER");
    await refused(chain.architect.approveModel({ modelId }, ann), Code.PermissionDenied, "NOT_A_REVIEWER");
    await refused(chain.architect.approveModel({ modelId }, eve), Code.NotFound);
    await chain.architect.approveModel({ modelId }, bob);
    await refused(chain.committer.createCommitment(newCommitment(modelId), bob), Code.NotFound);
    await refused(chain.committer.createCommitment(newCommitment(modelId), eve), Code.NotFound);

    const { commitment } = await chain.committer.createCommitment(newCommitment(modelId, { approverIds: [bob.id] }), ann);
    const commitmentId = commitment?.id ?? "";
    await refused(chain.committer.getCommitment({ commitmentId }, bob), Code.NotFound);
    await chain.committer.proposeCommitment({ commitmentId }, ann);
    const mine = await chain.committer.listCommitments({ toApprove: true }, bob);
    assert.deepEqual(
      mine.commitments.map(({ id }) => id),
      [commitmentId],
    );
    await refused(chain.committer.approveCommitment({ commitmentId }, ann), Code.PermissionDenied, "NOT_AN_APPROVER");
    await refused(chain.committer.signCommitment({ commitmentId, signatory: "B" }, bob), Code.PermissionDenied, "NOT_THE_OWNER");
    await refused(chain.committer.approveCommitment({ commitmentId }, eve), Code.NotFound);
    const { commitment: approved } = await chain.committer.approveCommitment({ commitmentId, note: "fine" }, bob);
    assert.equal(approved?.state, CommitmentState.APPROVED);
    assert.deepEqual((await chain.committer.listCommitments({ toApprove: true }, bob)).commitments, []);
    await chain.committer.signCommitment({ commitmentId, signatory: "A" }, ann);

    const { id: deliveryId, milestones } = await deliveryOf(chain, commitmentId, ann);
    const [design, launch] = milestones.map(({ id }) => id);
    await refused(chain.executor.getDelivery({ deliveryId }, bob), Code.NotFound);
    const toBob = { milestone: { id: launch ?? "", ownerId: bob.id }, updateMask: { paths: ["owner_id"] } };
    await chain.executor.updateMilestone(toBob, ann);
    assert.equal((await chain.executor.listMilestones({}, bob)).milestones[0]?.id, launch);
    const { milestone } = await chain.executor.startMilestone({ milestoneId: launch ?? "" }, bob);
    assert.equal(milestone?.state, MilestoneState.IN_PROGRESS);
    await refused(chain.executor.startMilestone({ milestoneId: design ?? "" }, bob), Code.PermissionDenied, "NOT_THE_OWNER");
    await refused(chain.executor.cancelDelivery({ deliveryId, reason: "no" }, bob), Code.PermissionDenied, "NOT_THE_OWNER");
    await refused(chain.executor.getMilestone({ milestoneId: design ?? "" }, eve), Code.NotFound);
    await refused(chain.executor.getModelSlippage({ modelId }, eve), Code.NotFound);
    await eventually("the amplifier to hear", () => progress(modelId, ann));
    await refused(chain.amplifier.getModelProgress({ modelId }, bob), Code.NotFound);
    await refused(chain.amplifier.listStrategies({ modelId }, eve), Code.NotFound);
    await refused(chain.architect.listModels({ userId: ann.id }, eve), Code.PermissionDenied);
  });

  it("pages are whole, in order, and end", async () => {
    const { eve } = people();
    const made: string[] = [];
    for (let n = 0; n < 5; n++) made.push((await chain.architect.createModel(newModel(), eve)).model?.id ?? "");
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await chain.architect.listModels({ pageSize: 2, pageToken }, eve);
      seen.push(...page.models.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(seen, made.toReversed());
    await refused(chain.architect.listModels({ pageToken: "x" }, eve), Code.InvalidArgument);
  });

  it("milestones are added, reordered by day, and slip together", async () => {
    const { ann } = people();
    const { id: modelId } = await approvedModel(chain, ann);
    const { id: deliveryId } = await deliveryOf(chain, await signedCommitment(chain, modelId, ann), ann);
    const added = { requestId: "third", deliveryId, title: "Training", plannedDate: day(20), weight: 1 };
    const { milestone } = await chain.executor.addMilestone(added, ann);
    assert.equal((await chain.executor.addMilestone(added, ann)).milestone?.id, milestone?.id);
    const { delivery } = await chain.executor.getDelivery({ deliveryId }, ann);
    assert.deepEqual(
      delivery?.milestones.map(({ title }) => title),
      ["Design", "Training", "Launch"],
    );
    const launch = delivery?.milestones[2]?.id ?? "";
    await chain.executor.startMilestone({ milestoneId: launch }, ann);
    const moved = {
      milestone: { id: launch, forecastDate: day(36), progress: 0.5 },
      updateMask: { paths: ["forecast_date", "progress"] },
    };
    await chain.executor.updateMilestone(moved, ann);
    const { slippage, progress: done, deliveries } = await chain.executor.getModelSlippage({ modelId }, ann);
    assert.deepEqual([slippage?.days, slippage?.share, slippage?.meanDays, slippage?.lateCount], [6, 0.2, 3.6, 1]);
    assert.deepEqual([done, deliveries.length, deliveries[0]?.progress], [0.3, 1, 0.3]);
    const late = await chain.executor.listMilestones({ late: true, state: MilestoneState.IN_PROGRESS }, ann);
    assert.deepEqual(
      late.milestones.map(({ id }) => id),
      [launch],
    );
  });

  it("an event that carries nothing of its kind is put aside, and those behind it are handled", async () => {
    const { ann } = people();
    const client = mesh.client(EventService);
    await client.publishEvent({ requestId: randomUUID(), topic: "value", key: "x", type: "value.commitment.signed", data: {} });
    const admin = `http://127.0.0.1:${mesh.services.get("value-executor")?.adminPort}/inbox`;
    const parked = await eventually("the event to be put aside", async () => {
      const { parked: all } = (await (await fetch(admin)).json()) as { parked: { id: string; reason: string }[] };
      return all[0];
    });
    assert.match(parked.reason, /^InvalidArgument: data\.commitment: /);
    assert.equal((await fetch(`${admin}/${parked.id}/retry`, { method: "POST" })).ok, false);
    const { id: modelId } = await approvedModel(chain, ann);
    await deliveryOf(chain, await signedCommitment(chain, modelId, ann), ann);
  });

  function record(modelId: string, hypothesisId = "", actual: number, as: CallOptions) {
    return chain.amplifier.recordRealisation({ requestId: randomUUID(), modelId, hypothesisId, actual }, as);
  }

  async function propose(modelId: string, hypothesisId = "", more: { title: string; effect: number }, as: CallOptions) {
    const what = { requestId: randomUUID(), modelId, hypothesisId, confidence: 0.5, reach: 0.5, effortDays: 10, ...more };
    return (await chain.amplifier.createStrategy(what, as)).strategy;
  }

  /** undefined while the amplifier knows nothing of the model. */
  async function progress(modelId: string, as: CallOptions) {
    return (await chain.amplifier.getModelProgress({ modelId }, as).catch(() => undefined))?.progress;
  }
});
