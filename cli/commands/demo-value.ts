import { randomUUID } from "node:crypto";
import type { CommandContext } from "../command-context.ts";
import { Narrator } from "../demo/narrator.ts";
import { asOperator } from "../demo/operator.ts";
import { eventually, newUser, type PlatformUser } from "../demo/platform-user.ts";
import { type Commitment, commitmentOf, dayFromNow, type Model, modelOf } from "../demo/value-deal.ts";
import { Failure } from "../failure.ts";

const services = ["auth", "events", "calculation", "value-architect", "value-committer", "value-executor", "value-amplifier"];
const root = "/api/v1/value";

/**
 * `heddle demo value`: one deal, from a hypothesis by a signed contract and its delivery to what it brought, and what would bring more. 1 when
 * a promise did not hold.
 */
export async function demoValue(context: CommandContext): Promise<number> {
  const story = new Narrator(context);
  const owner = await newUser(context, "owner", services);
  const controller = await newUser(context, "controller", services);
  story.say(`${owner.email} owns the model, ${controller.email} controls the money.`);

  const model = await hypothesise(story, owner, controller);
  const commitment = await commit(story, owner, controller, model);
  await deliver(story, owner, commitment);
  await realise(story, owner, model);
  await amplify(story, owner, model);
  await lookBack(context, story, owner, model);
  return story.end();
}

async function hypothesise(story: Narrator, owner: PlatformUser, controller: PlatformUser): Promise<Model> {
  story.chapter("Hypotheses: a faster checkout sells more, and needs less support.");
  const model: Model = await owner.want("POST", `${root}/models`, modelOf(controller.id));
  const path = `${root}/models/${model.id}`;
  story.say(`model ${model.id}: 60,000.00 EUR are to bring 160,000.00 in full, 116,000.00 as expected`);
  await story.promise("the return on it is 93.3 % as expected, 166.7 % in full", async () => {
    const { expected, full } = await owner.want("GET", `${path}/roi`);
    if (Math.abs(expected.roi - 0.933333) > 1e-6 || Math.abs(full.roi - 1.666667) > 1e-6)
      throw new Failure(JSON.stringify({ expected, full }));
    return "by calculation";
  });
  await story.promise("nobody can promise anything against a draft", () =>
    refused(owner, "POST", `${root}/commitments`, commitmentOf(model.id, controller.id), "MODEL_NOT_APPROVED"),
  );
  await owner.want("POST", `${path}:submit`, {});
  await story.promise("the owner cannot approve it, the reviewer can", async () => {
    const own = await owner.ask("POST", `${path}:approve`, {});
    if (own.status !== 403) throw new Failure(`the owner's approval answered ${own.status}`);
    const { state } = await controller.want("POST", `${path}:approve`, { version: 1 });
    if (state !== "MODEL_STATE_APPROVED") throw new Failure(state);
    return state;
  });
  return model;
}

async function commit(story: Narrator, owner: PlatformUser, controller: PlatformUser, model: Model): Promise<Commitment> {
  story.chapter("A commitment: 60,000.00 EUR in two payments, two deliverables, one approval.");
  const commitment: Commitment = await owner.want("POST", `${root}/commitments`, commitmentOf(model.id, controller.id));
  const path = `${root}/commitments/${commitment.id}`;
  await story.promise("what is not approved cannot be signed", () =>
    refused(owner, "POST", `${path}:sign`, { signatory: "O. Wner" }, "COMMITMENT_NOT_IN_APPROVED"),
  );
  await owner.want("POST", `${path}:propose`, {});
  await story.promise("it waits among what the controller has to approve, and then is approved", async () => {
    const { commitments = [] } = await controller.want("GET", `${root}/commitments?toApprove=true`);
    if (commitments.length !== 1 || commitments[0].id !== commitment.id) throw new Failure(JSON.stringify(commitments));
    const { state } = await controller.want("POST", `${path}:approve`, { note: "within the budget" });
    if (state !== "COMMITMENT_STATE_APPROVED") throw new Failure(state);
    return state;
  });
  await owner.want("POST", `${path}:sign`, { signatory: "O. Wner" });
  story.say("signed");
  return commitment;
}

async function deliver(story: Narrator, owner: PlatformUser, commitment: Commitment): Promise<void> {
  story.chapter("The delivery, which the signature's event begins.");
  const list = `${root}/deliveries?commitmentId=${commitment.id}`;
  const { body } = await eventually(
    "the delivery",
    () => owner.ask("GET", list),
    (answer) => answer.body.deliveries?.length > 0,
  );
  const [delivery] = body.deliveries;
  const path = `${root}/deliveries/${delivery.id}`;
  const [design, launch] = delivery.milestones as { readonly id: string; readonly title: string }[];
  if (design === undefined || launch === undefined) throw new Failure(JSON.stringify(delivery));
  await story.promise("it has a milestone for each deliverable", async () => `${design.title}, ${launch.title}`);
  for (const { id } of [design, launch]) await owner.want("POST", `${root}/milestones/${id}:start`, {});
  await story.promise("a launch that slips by 6 of 30 days makes the whole 20 % late", async () => {
    const forecast = { forecastDate: dayFromNow(36) };
    await owner.want("PATCH", `${root}/milestones/${launch.id}?updateMask=forecastDate`, forecast);
    const { slippage } = await owner.want("GET", `${root}/models/${delivery.modelId}/slippage`);
    if (slippage.days !== 6 || Math.abs(slippage.share - 0.2) > 1e-9 || slippage.lateCount !== 1)
      throw new Failure(JSON.stringify(slippage));
    return `${slippage.plannedEnd} -> ${slippage.expectedEnd}`;
  });
  await story.promise("it cannot be completed while a milestone is open", () =>
    refused(owner, "POST", `${path}:complete`, {}, "MILESTONES_OPEN"),
  );
  for (const { id } of [design, launch]) await owner.want("POST", `${root}/milestones/${id}:complete`, {});
  const { state } = await owner.want("POST", `${path}:complete`, {});
  story.say(`${state}, ahead of time after all`);
}

async function realise(story: Narrator, owner: PlatformUser, model: Model): Promise<void> {
  story.chapter("What it brought.");
  const path = `${root}/models/${model.id}/progress`;
  await eventually(
    "the completed delivery",
    () => owner.ask("GET", path),
    ({ body }) => body.completedDeliveries === 1,
  );
  const [conversion, tickets] = model.hypotheses;
  for (const [hypothesis, actual] of [
    [conversion, 2.5],
    [tickets, 430],
  ] as const) {
    const realisation = { requestId: randomUUID(), modelId: model.id, hypothesisId: hypothesis?.id, actual };
    await owner.want("POST", `${root}/realisations`, realisation);
  }
  await story.promise("half of the sales, and seven tenths of the support, are realised: 96,000.00 EUR", async () => {
    const progress = await owner.want("GET", path);
    const shares = progress.hypotheses.map((one: { realisedShare: number }) => Math.round(one.realisedShare * 1000) / 1000);
    if (progress.realisedGain !== "9600000" || String(shares) !== "0.5,0.7") throw new Failure(JSON.stringify(progress));
    return `${Math.round(progress.realisedShare * 100)} % of what was hoped for`;
  });
  await story.promise("the architect hears of it too, and shows it with its hypotheses", async () => {
    const ask = () => owner.ask("GET", `${root}/models/${model.id}/hypotheses`);
    const measured = (one: { finding?: object }) => one.finding !== undefined;
    const { body } = await eventually("the findings", ask, (answer) => answer.body.hypotheses.every(measured));
    return body.hypotheses
      .map((one: { driver: string; finding: { actual: number } }) => `${one.driver} ${one.finding.actual}`)
      .join(", ");
  });
}

async function amplify(story: Narrator, owner: PlatformUser, model: Model): Promise<void> {
  story.chapter("What would bring more, by money per day of work.");
  const [conversion, tickets] = model.hypotheses.map(({ id }) => id);
  const strategies = [
    { title: "Reach every country", hypothesisId: conversion, effect: 0.5, confidence: 0.7, reach: 0.4, effortDays: 40 },
    { title: "Answer by itself", hypothesisId: tickets, effect: 0.3, confidence: 0.9, reach: 1, effortDays: 20 },
    { title: "Pay with one tap", hypothesisId: conversion, effect: 0.6, confidence: 0.5, reach: 0.8, effortDays: 30 },
  ];
  for (const one of strategies)
    await owner.want("POST", `${root}/strategies`, { requestId: randomUUID(), modelId: model.id, ...one });
  await story.promise("they are ranked: answers, one tap, countries", async () => {
    const { strategies: ranked = [] } = await owner.want("GET", `${root}/strategies?modelId=${model.id}`);
    const titles = ranked.map(({ title }: { title: string }) => title);
    if (String(titles) !== "Answer by itself,Pay with one tap,Reach every country") throw new Failure(JSON.stringify(ranked));
    await owner.want("POST", `${root}/strategies/${ranked[0].id}:start`, {});
    return ranked.map(({ score }: { score: number }) => (score / 100).toFixed(2)).join(", ");
  });
}

async function lookBack(context: CommandContext, story: Narrator, owner: PlatformUser, model: Model): Promise<void> {
  story.chapter("The whole way.");
  const path = `${root}/models/${model.id}/progress`;
  const ended = await eventually(
    "the strategy",
    () => owner.ask("GET", path),
    ({ body }) => Number(body.lastNumber) >= chain.length,
  );
  await story.promise("the model is amplified", async () => {
    if (ended.body.stage !== "VALUE_STAGE_AMPLIFIED") throw new Failure(ended.body.stage);
    return ended.body.stage;
  });
  await story.promise("each step is among the events, once, those of each service in order", async () => {
    const types = await eventsOf(context, model.id);
    for (const kinds of [/^value.model/, /^value.commitment/, /^value.(delivery|milestone)/, /^value.(realisation|strategy)/]) {
      const [seen, told] = [types, chain].map((all) => all.filter((type) => kinds.test(type)).join(", "));
      if (seen !== told) throw new Failure(`${seen}; expected ${told}`);
    }
    return `${types.length} events of topic value`;
  });
}

/** The events of the story, in order. Those of different services may overtake each other on their way to the topic. */
const chain = [
  ...["value.model.created", "value.model.submitted", "value.model.approved", "value.commitment.created"],
  ...["value.commitment.proposed", "value.commitment.approved", "value.commitment.signed", "value.delivery.created"],
  ...["value.milestone.started", "value.milestone.started", "value.milestone.moved", "value.milestone.completed"],
  ...["value.milestone.completed", "value.delivery.completed", "value.realisation.recorded", "value.realisation.recorded"],
  ...["value.strategy.proposed", "value.strategy.proposed", "value.strategy.proposed", "value.strategy.started"],
];

async function eventsOf(context: CommandContext, model: string): Promise<readonly string[]> {
  const types: string[] = [];
  let pageToken = "";
  do {
    const page = await asOperator(context, "events.v1.EventService/ListEvents", { topic: "value", pageSize: 1000, pageToken });
    for (const { key, type } of page.events ?? []) if (key === model) types.push(type);
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  return types;
}

/** Asks for what is to be refused with FAILED_PRECONDITION for `reason`. */
async function refused(user: PlatformUser, method: string, path: string, body: object, reason: string): Promise<string> {
  const answer = await user.ask(method, path, body);
  const reasons = (answer.body.details ?? []).map((detail: { reason?: string }) => detail.reason);
  if (answer.status !== 400 || !reasons.includes(reason)) throw new Failure(`${answer.status} ${JSON.stringify(answer.body)}`);
  return reason;
}
