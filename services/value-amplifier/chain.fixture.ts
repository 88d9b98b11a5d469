/** The four services of the value chain in one mesh, and a deal that goes through them. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { CallOptions, Client } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { AmplifierService } from "#gen/value/v1/amplifier_pb.ts";
import { ArchitectService } from "#gen/value/v1/architect_pb.ts";
import { CommitterService } from "#gen/value/v1/committer_pb.ts";
import { ExecutorService } from "#gen/value/v1/executor_pb.ts";
import { dayOf } from "#mesh/calendar-day.ts";
import { reasonOf } from "#mesh/errors.ts";
import type { TestMesh } from "#mesh/testing.ts";

/** Clients of the four. */
export interface Chain {
  readonly architect: Client<typeof ArchitectService>;
  readonly committer: Client<typeof CommitterService>;
  readonly executor: Client<typeof ExecutorService>;
  readonly amplifier: Client<typeof AmplifierService>;
}

export function chainOf(mesh: Pick<TestMesh, "client">): Chain {
  return {
    architect: mesh.client(ArchitectService),
    committer: mesh.client(CommitterService),
    executor: mesh.client(ExecutorService),
    amplifier: mesh.client(AmplifierService),
  };
}

/** A day so many days from now. */
export function day(fromNow: number): string {
  return dayOf(Date.now() + fromNow * 86_400_000);
}

/** A model of two hypotheses, worth 100,000 and 50,000 in full. */
export function newModel(more: { readonly reviewerIds?: string[] } = {}) {
  const hypotheses = [
    { driver: "Conversion", unit: "%", baseline: 2, target: 3, dueDate: day(90), confidence: 0.5, valuePerUnit: 100_000 },
    { driver: "Tickets", unit: "a week", baseline: 500, target: 400, dueDate: day(200), confidence: 0.8, valuePerUnit: 500 },
  ];
  return { requestId: randomUUID(), title: "Checkout", currency: "EUR", investment: 60_000n, hypotheses, ...more };
}

/** A commitment with two deliverables. */
export function newCommitment(modelId: string, more: { readonly approverIds?: readonly string[] } = {}) {
  const deliverables = [
    { title: "Design", dueDate: day(10), weight: 1 },
    { title: "Launch", dueDate: day(30), weight: 3 },
  ];
  const requiredApprovals = (more.approverIds ?? []).map((value) => ({ by: { case: "userId" as const, value } }));
  return { requestId: randomUUID(), modelId, title: "Build it", amount: 60_000n, deliverables, requiredApprovals };
}

/** An approved model. */
export async function approvedModel({ architect }: Chain, as: CallOptions) {
  const { model } = await architect.createModel(newModel(), as);
  const modelId = model?.id ?? "";
  await architect.submitModel({ modelId }, as);
  const { model: approved } = await architect.approveModel({ modelId }, as);
  return approved ?? assert.fail("no model");
}

/** A commitment to a model, signed. */
export async function signedCommitment({ committer }: Chain, modelId: string, as: CallOptions): Promise<string> {
  const { commitment } = await committer.createCommitment(newCommitment(modelId), as);
  const commitmentId = commitment?.id ?? "";
  await committer.proposeCommitment({ commitmentId }, as);
  await committer.signCommitment({ commitmentId, signatory: "A. Nn" }, as);
  return commitmentId;
}

/** The delivery of a commitment, once its event has come. */
export function deliveryOf({ executor }: Chain, commitmentId: string, as: CallOptions, timeoutMs?: number) {
  return eventually("the delivery", async () => (await executor.listDeliveries({ commitmentId }, as)).deliveries[0], timeoutMs);
}

/** Does and completes all of a delivery. */
export async function deliver({ executor }: Chain, deliveryId: string, as: CallOptions): Promise<void> {
  const { delivery } = await executor.getDelivery({ deliveryId }, as);
  for (const { id: milestoneId } of delivery?.milestones ?? []) {
    await executor.startMilestone({ milestoneId }, as);
    await executor.completeMilestone({ milestoneId }, as);
  }
  await executor.completeDelivery({ deliveryId }, as);
}

/** Holds a call to a refusal: its code, and its reason where one is given. */
export async function refused(call: Promise<unknown>, code: Code, reason?: string): Promise<void> {
  const error = await call.then(
    () => assert.fail(`expected ${Code[code]}, got an answer`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.deepEqual([Code[error.code], reason === undefined ? undefined : reasonOf(error)], [Code[code], reason], error.message);
}

/** Asks every 20 ms until there is something. @throws Error naming `what` after `timeoutMs`. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false>, timeoutMs = 20_000): Promise<T> {
  for (const end = performance.now() + timeoutMs; ; ) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
