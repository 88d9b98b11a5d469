/** What is recorded and changed here: each decided by the rules, stored, and told of, in one transaction. */
import { dayOf } from "#mesh/calendar-day.ts";
import { alreadyExists, failedPrecondition, invalidArgument, notFound, notYours, resourceExhausted } from "#mesh/errors.ts";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { realisationEventOf, type StrategyEvent, strategyEventOf } from "./announce.ts";
import { maxRealised } from "./messages.ts";
import { findModel, type KnownModel, totalsOf } from "./model-store.ts";
import { mayActFor, type Who } from "./ownership.ts";
import { type Hypothesis, realisedGain, realisedShare } from "./progress.ts";
import { insertRealisation, latestActuals, type Realisation, type Request, realisationOfRequest } from "./realisation-store.ts";
import { assertOpen, maxStrategies, type Ranked, rankAll, type Strategy } from "./strategy.ts";
import { insertStrategy, lockStrategy, strategiesOf, strategyOfRequest, updateStrategy } from "./strategy-store.ts";

/** What changes work with. */
export interface ChangeParts {
  readonly db: Database;
  readonly outbox: Pick<Outbox, "put">;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** A measurement to record. */
export type NewRealisation = Pick<Realisation, "modelId" | "hypothesisId" | "actual" | "measureDate" | "note">;

/** Records a measurement; or answers with the one that the same request recorded before. */
export function record(parts: ChangeParts, who: Who, asked: NewRealisation, request: Request): Promise<Realisation> {
  const { db, outbox, clock } = parts;
  return db.transaction(async (tx) => {
    const model = await ownModel(tx, who, asked.modelId);
    const before = await realisationOfRequest(tx, request.caller, request.requestId);
    if (before !== undefined) return same(before, request).realisation;
    const hypothesis = hypothesisOf(model, asked.hypothesisId);
    if ((await totalsOf(tx, model.id)).completedDeliveries === 0) {
      throw failedPrecondition(
        "NOTHING_DELIVERED",
        `no delivery of model ${model.id} is completed: what changed cannot be its effect`,
      );
    }
    const now = clock();
    if (asked.measureDate > dayOf(now)) {
      throw invalidArgument([{ field: "measure_date", description: `expected ${dayOf(now)} or an earlier day` }]);
    }
    const gain = realisedGain(hypothesis, asked.actual);
    if (Math.abs(gain) > maxRealised) {
      throw invalidArgument([{ field: "actual", description: `expected a worth of at most ${maxRealised} minor units` }]);
    }
    const share = realisedShare(hypothesis, asked.actual);
    const made = { id: uuidv7(now), userId: model.userId, realisedShare: share, realisedGain: gain, createTime: now };
    const realisation = { ...asked, ...made };
    if (!(await insertRealisation(tx, realisation, request))) {
      const other = await realisationOfRequest(tx, request.caller, request.requestId);
      return same(other, request).realisation;
    }
    await outbox.put(tx, realisationEventOf(realisation));
    return realisation;
  });
}

/** A strategy to propose. */
export type NewStrategy = Pick<
  Strategy,
  "modelId" | "hypothesisId" | "title" | "description" | "effect" | "confidence" | "reach" | "effortDays"
>;

/** Proposes a strategy; or answers with the one that the same request proposed before. @throws RESOURCE_EXHAUSTED above the limit. */
export function propose(parts: ChangeParts, who: Who, asked: NewStrategy, request: Request): Promise<Ranked> {
  const { db, outbox, clock } = parts;
  return db.transaction(async (tx) => {
    const model = await ownModel(tx, who, asked.modelId);
    const before = await strategyOfRequest(tx, request.caller, request.requestId);
    if (before !== undefined) return placeOf(tx, same(before, request).strategy);
    hypothesisOf(model, asked.hypothesisId);
    // Those who propose for one model take turns, so that the limit holds.
    await tx.query("select 1 from model where id = $1 for no key update", [model.id]);
    if ((await strategiesOf(tx, model.id)).length >= maxStrategies) {
      throw resourceExhausted(`a model has at most ${maxStrategies} strategies`, 60_000);
    }
    const now = clock();
    const begun = { state: "proposed", reason: "", achievedEffect: undefined, createTime: now, updateTime: now } as const;
    const strategy = { ...asked, ...begun, id: uuidv7(now), userId: model.userId };
    if (!(await insertStrategy(tx, strategy, request))) {
      return placeOf(tx, same(await strategyOfRequest(tx, request.caller, request.requestId), request).strategy);
    }
    const ranked = await placeOf(tx, strategy);
    await outbox.put(tx, strategyEventOf("proposed", ranked));
    return ranked;
  });
}

/** Changes a strategy as `change` says; what it leaves as it is changes nothing. `happened` is told, unless it is undefined. */
export function change(
  { db, outbox, clock }: ChangeParts,
  who: Who,
  id: string,
  decide: (strategy: Strategy, now: number) => Strategy,
  happened: StrategyEvent | undefined,
): Promise<Ranked> {
  return db.transaction(async (tx) => {
    const before = await lockStrategy(tx, id);
    if (before === undefined) throw notFound("strategy", id);
    if (!mayActFor(who, before.userId)) throw notYours("strategy", id);
    const after = decide(before, clock());
    if (after === before) return placeOf(tx, before);
    await updateStrategy(tx, after);
    const ranked = await placeOf(tx, after);
    if (happened !== undefined) await outbox.put(tx, strategyEventOf(happened, ranked));
    return ranked;
  });
}

/** New values of an open strategy. */
export function edited(patch: Partial<NewStrategy>) {
  return (strategy: Strategy, now: number): Strategy => {
    assertOpen(strategy);
    return { ...strategy, ...patch, updateTime: now };
  };
}

/** A model that the caller may see. @throws NOT_FOUND. */
export async function ownModel(db: Queryable, who: Who, id: string): Promise<KnownModel> {
  const model = await findModel(db, id);
  if (model === undefined) throw notFound("model", id);
  if (!mayActFor(who, model.userId)) throw notYours("model", id);
  return model;
}

/** The strategies of a model at their places. */
export async function rankedOf(db: Queryable, model: KnownModel): Promise<Ranked[]> {
  const actuals = await latestActuals(db, model.id);
  const hypotheses = new Map(model.hypotheses.map((one) => [one.id, one]));
  return rankAll(await strategiesOf(db, model.id), (id) => {
    const [hypothesis, actual] = [hypotheses.get(id), actuals.get(id)];
    const measured = hypothesis !== undefined && actual !== undefined;
    return { fullGain: hypothesis?.fullGain ?? 0, realisedShare: measured ? realisedShare(hypothesis, actual) : undefined };
  });
}

/** A strategy at its place. */
export async function placeOf(db: Queryable, strategy: Strategy): Promise<Ranked> {
  const model = await findModel(db, strategy.modelId);
  const all = model === undefined ? [] : await rankedOf(db, model);
  const found = all.find((one) => one.strategy.id === strategy.id);
  if (found === undefined) throw new Error(`strategy ${strategy.id} is gone`);
  return found;
}

function hypothesisOf(model: KnownModel, id: string): Hypothesis {
  if (model.version === 0) throw failedPrecondition("MODEL_NOT_APPROVED", `model ${model.id} is not approved`);
  const found = model.hypotheses.find((one) => one.id === id);
  if (found === undefined) throw notFound("hypothesis", id);
  return found;
}

/** What a request that came before made. @throws ALREADY_EXISTS when that asked for something else. */
function same<T extends { readonly contentHash: string }>(before: T | undefined, { requestId, contentHash }: Request): T {
  if (before !== undefined && before.contentHash === contentHash) return before;
  throw alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}
