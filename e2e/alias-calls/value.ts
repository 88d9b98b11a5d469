/** Example calls of the value chain's routes: one deal, and what is given up beside it. */
import type { AliasCall } from "./alias-call.ts";
import { amplifierCalls } from "./value-amplifier.ts";

const root = "/api/v1/value";
const architect = "value.v1.ArchitectService";
const committer = "value.v1.CommitterService";
const executor = "value.v1.ExecutorService";

const hypothesis = {
  ...{ driver: "Conversion", unit: "%", baseline: 2, target: 3, dueDate: "2099-03-31", confidence: 0.5, valuePerUnit: 100_000 },
};

const architectCalls: readonly AliasCall[] = [
  {
    call: `POST ${root}/models`,
    rpc: `${architect}/CreateModel`,
    body: { requestId: "model", title: "Checkout", currency: "EUR", investment: "60000" },
    answer: { version: 1, state: "MODEL_STATE_DRAFT", userId: "{user}" },
    keep: { model: "id" },
  },
  { call: `GET ${root}/models`, rpc: `${architect}/ListModels`, answer: { models: [{ id: "{model}" }] } },
  {
    call: `POST ${root}/models/{model}/hypotheses`,
    rpc: `${architect}/AddHypothesis`,
    body: { requestId: "first", hypothesis },
    answer: { driver: "Conversion", fullGain: "100000", expectedGain: "50000" },
    keep: { hypothesis: "id" },
  },
  {
    call: `PUT ${root}/models/{model}/hypotheses/{hypothesis}`,
    rpc: `${architect}/ReplaceHypothesis`,
    body: { ...hypothesis, confidence: 0.8 },
    answer: { id: "{hypothesis}", expectedGain: "80000" },
  },
  {
    call: `DELETE ${root}/models/{model}/hypotheses/0198a2b0-0000-7000-8000-000000000001`,
    rpc: `${architect}/RemoveHypothesis`,
    answer: {},
  },
  {
    call: `GET ${root}/models/{model}/hypotheses`,
    rpc: `${architect}/ListHypotheses`,
    answer: { hypotheses: [{ id: "{hypothesis}", confidence: 0.8 }] },
  },
  {
    call: `PATCH ${root}/models/{model}?updateMask=title`,
    rpc: `${architect}/UpdateModel`,
    body: { title: "A faster checkout" },
    answer: { title: "A faster checkout", investment: "60000" },
  },
  {
    call: `POST ${root}/models/{model}:submit`,
    rpc: `${architect}/SubmitModel`,
    body: {},
    answer: { state: "MODEL_STATE_IN_REVIEW" },
  },
  {
    call: `POST ${root}/models/{model}:return`,
    rpc: `${architect}/ReturnModel`,
    body: { reason: "too dear" },
    answer: { state: "MODEL_STATE_DRAFT", returnReason: "too dear" },
  },
  { call: `POST ${root}/models/{model}:submit`, rpc: `${architect}/SubmitModel`, body: {}, answer: { id: "{model}" } },
  {
    call: `POST ${root}/models/{model}:approve`,
    rpc: `${architect}/ApproveModel`,
    body: { version: 1 },
    answer: { state: "MODEL_STATE_APPROVED", approvedByIds: ["{user}"] },
  },
  {
    call: `GET ${root}/models/{model}/roi`,
    rpc: `${architect}/GetModelRoi`,
    answer: { investment: "60000", expected: { gain: "80000", netGain: "20000" }, full: { gain: "100000" } },
  },
];

const committerCalls: readonly AliasCall[] = [
  {
    call: `POST ${root}/commitments`,
    rpc: `${committer}/CreateCommitment`,
    body: {
      requestId: "commitment",
      modelId: "{model}",
      title: "Build it",
      amount: "60000",
      deliverables: [{ title: "Launch", dueDate: "2099-01-31" }],
      requiredApprovals: [{ userId: "{user}" }],
    },
    answer: { state: "COMMITMENT_STATE_DRAFT", currency: "EUR", modelVersion: 1 },
    keep: { commitment: "id" },
  },
  {
    call: `PATCH ${root}/commitments/{commitment}?updateMask=title`,
    rpc: `${committer}/UpdateCommitment`,
    body: { title: "Build it well" },
    answer: { title: "Build it well", amount: "60000" },
  },
  {
    call: `POST ${root}/commitments/{commitment}:propose`,
    rpc: `${committer}/ProposeCommitment`,
    body: {},
    answer: { state: "COMMITMENT_STATE_PROPOSED" },
  },
  {
    call: `GET ${root}/commitments?toApprove=true`,
    rpc: `${committer}/ListCommitments`,
    answer: { commitments: [{ id: "{commitment}" }] },
  },
  {
    call: `POST ${root}/commitments/{commitment}:reject`,
    rpc: `${committer}/RejectCommitment`,
    body: { reason: "too late" },
    answer: { state: "COMMITMENT_STATE_REJECTED", reason: "too late" },
  },
  {
    call: `POST ${root}/commitments/{commitment}:revise`,
    rpc: `${committer}/ReviseCommitment`,
    body: {},
    answer: { state: "COMMITMENT_STATE_DRAFT" },
  },
  { call: `POST ${root}/commitments/{commitment}:propose`, rpc: `${committer}/ProposeCommitment`, body: {}, answer: {} },
  {
    call: `POST ${root}/commitments/{commitment}:approve`,
    rpc: `${committer}/ApproveCommitment`,
    body: { note: "fine" },
    answer: { state: "COMMITMENT_STATE_APPROVED", approvals: [{ userId: "{user}", note: "fine" }] },
  },
  {
    call: `POST ${root}/commitments/{commitment}:sign`,
    rpc: `${committer}/SignCommitment`,
    body: { signatory: "A. Nn" },
    answer: { state: "COMMITMENT_STATE_SIGNED", signatory: "A. Nn" },
  },
  {
    call: `POST ${root}/commitments/{commitment}:withdraw`,
    rpc: `${committer}/WithdrawCommitment`,
    body: {},
    status: 400,
    answer: { code: 9, message: "commitment {commitment} is signed: it binds" },
  },
  {
    call: `GET ${root}/commitments/{commitment}`,
    rpc: `${committer}/GetCommitment`,
    answer: { id: "{commitment}", state: "COMMITMENT_STATE_SIGNED" },
  },
];

const executorCalls: readonly AliasCall[] = [
  {
    call: `GET ${root}/deliveries?commitmentId={commitment}`,
    rpc: `${executor}/ListDeliveries`,
    patient: true,
    answer: { deliveries: [{ title: "Build it well", state: "DELIVERY_STATE_PLANNED", milestones: [{ title: "Launch" }] }] },
    keep: { delivery: "deliveries.0.id", launch: "deliveries.0.milestones.0.id" },
  },
  {
    call: `POST ${root}/deliveries/{delivery}/milestones`,
    rpc: `${executor}/AddMilestone`,
    body: { requestId: "party", title: "Party", plannedDate: "2099-02-01" },
    answer: { title: "Party", ownerId: "{user}", state: "MILESTONE_STATE_PLANNED" },
    keep: { party: "id" },
  },
  {
    call: `POST ${root}/milestones/{party}:cancel`,
    rpc: `${executor}/CancelMilestone`,
    body: { reason: "no cake" },
    answer: { state: "MILESTONE_STATE_CANCELED", reason: "no cake" },
  },
  {
    call: `POST ${root}/milestones/{launch}:start`,
    rpc: `${executor}/StartMilestone`,
    body: {},
    answer: { state: "MILESTONE_STATE_IN_PROGRESS" },
  },
  {
    call: `PATCH ${root}/milestones/{launch}?updateMask=forecastDate,progress`,
    rpc: `${executor}/UpdateMilestone`,
    body: { forecastDate: "2099-02-03", progress: 0.5 },
    answer: { progress: 0.5, slippage: { days: 3, lateCount: 1 } },
  },
  {
    call: `GET ${root}/milestones?late=true`,
    rpc: `${executor}/ListMilestones`,
    answer: { milestones: [{ id: "{launch}" }] },
  },
  {
    call: `GET ${root}/models/{model}/slippage`,
    rpc: `${executor}/GetModelSlippage`,
    answer: { slippage: { days: 3, count: 1 }, progress: 0.5, deliveries: [{ deliveryId: "{delivery}" }] },
  },
  {
    call: `POST ${root}/milestones/{launch}:complete`,
    rpc: `${executor}/CompleteMilestone`,
    body: {},
    answer: { state: "MILESTONE_STATE_DONE", progress: 1 },
  },
  {
    call: `POST ${root}/milestones/{launch}:reopen`,
    rpc: `${executor}/ReopenMilestone`,
    body: {},
    answer: { state: "MILESTONE_STATE_IN_PROGRESS" },
  },
  { call: `POST ${root}/milestones/{launch}:complete`, rpc: `${executor}/CompleteMilestone`, body: {}, answer: { progress: 1 } },
  { call: `GET ${root}/milestones/{launch}`, rpc: `${executor}/GetMilestone`, answer: { id: "{launch}", title: "Launch" } },
  {
    call: `POST ${root}/deliveries/{delivery}:complete`,
    rpc: `${executor}/CompleteDelivery`,
    body: {},
    answer: { state: "DELIVERY_STATE_COMPLETED", progress: 1 },
  },
  {
    call: `POST ${root}/deliveries/{delivery}:cancel`,
    rpc: `${executor}/CancelDelivery`,
    body: { reason: "too late" },
    status: 400,
    answer: { code: 9 },
  },
  { call: `GET ${root}/deliveries/{delivery}`, rpc: `${executor}/GetDelivery`, answer: { commitmentId: "{commitment}" } },
];

/** In the order of the chain; then the next version of the model. */
export const valueCalls: readonly AliasCall[] = [
  ...architectCalls,
  ...committerCalls,
  ...executorCalls,
  ...amplifierCalls,
  {
    call: `POST ${root}/models/{model}:revise`,
    rpc: `${architect}/ReviseModel`,
    body: {},
    answer: { version: 2, state: "MODEL_STATE_DRAFT" },
  },
  {
    call: `GET ${root}/models/{model}/versions`,
    rpc: `${architect}/ListModelVersions`,
    answer: { models: [{ version: 2 }, { version: 1, state: "MODEL_STATE_APPROVED" }] },
  },
  { call: `GET ${root}/models/{model}?version=1`, rpc: `${architect}/GetModel`, answer: { version: 1 } },
];
