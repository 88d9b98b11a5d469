/** Example calls of the routes of the value chain's amplifier. */
import type { AliasCall } from "./alias-call.ts";

const root = "/api/v1/value";
const amplifier = "value.v1.AmplifierService";

const strategy = { requestId: "tap", modelId: "{model}", hypothesisId: "{hypothesis}", title: "One tap" };

/** What is asked of a model that was delivered. */
export const amplifierCalls: readonly AliasCall[] = [
  {
    call: `GET ${root}/models/{model}/progress`,
    rpc: `${amplifier}/GetModelProgress`,
    patient: true,
    answer: { stage: "VALUE_STAGE_DELIVERED", signedAmount: "60000", completedDeliveries: 1 },
  },
  {
    call: `GET ${root}/models/{model}/progress:watch`,
    rpc: `${amplifier}/WatchModelProgress`,
    stream: true,
    answer: { change: { number: "1", type: "value.model.created" } },
  },
  {
    call: `POST ${root}/realisations`,
    rpc: `${amplifier}/RecordRealisation`,
    body: { requestId: "measured", modelId: "{model}", hypothesisId: "{hypothesis}", actual: 2.5 },
    answer: { realisedShare: 0.5, realisedGain: "50000" },
    keep: { realisation: "id" },
  },
  { call: `GET ${root}/realisations/{realisation}`, rpc: `${amplifier}/GetRealisation`, answer: { actual: 2.5 } },
  {
    call: `GET ${root}/realisations?modelId={model}`,
    rpc: `${amplifier}/ListRealisations`,
    answer: { realisations: [{ id: "{realisation}" }] },
  },
  {
    call: `POST ${root}/strategies`,
    rpc: `${amplifier}/CreateStrategy`,
    body: { ...strategy, effect: 0.5, confidence: 0.5, reach: 0.5, effortDays: 10 },
    answer: { rank: 1, score: 1250, confidenceUsed: 0.5, expectedGain: "12500" },
    keep: { strategy: "id" },
  },
  {
    call: `PATCH ${root}/strategies/{strategy}?updateMask=effort_days`,
    rpc: `${amplifier}/UpdateStrategy`,
    body: { effortDays: 5 },
    answer: { score: 2500 },
  },
  {
    call: `GET ${root}/strategies?modelId={model}`,
    rpc: `${amplifier}/ListStrategies`,
    answer: { strategies: [{ id: "{strategy}", rank: 1 }] },
  },
  {
    call: `POST ${root}/strategies/{strategy}:start`,
    rpc: `${amplifier}/StartStrategy`,
    body: {},
    answer: { state: "STRATEGY_STATE_RUNNING" },
  },
  {
    call: `POST ${root}/strategies/{strategy}:complete`,
    rpc: `${amplifier}/CompleteStrategy`,
    body: { achievedEffect: 0.4 },
    answer: { state: "STRATEGY_STATE_COMPLETED", achievedEffect: 0.4 },
  },
  {
    call: `POST ${root}/strategies/{strategy}:drop`,
    rpc: `${amplifier}/DropStrategy`,
    body: { reason: "too late" },
    status: 400,
    answer: { code: 9 },
  },
  { call: `GET ${root}/strategies/{strategy}`, rpc: `${amplifier}/GetStrategy`, answer: { id: "{strategy}" } },
];
