/** For the test that no stranger reaches another's objects: which fields name them, whose they are, and a valid request for each method. */
import type { JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { PlatformPerson } from "./person.ts";
import { until } from "./until.ts";

/** Ids of nothing. */
const nobody = "0198a2b0-0000-7000-8000-000000000001";
const otherNobody = "0198a2b0-0000-7000-8000-000000000002";

/** An owner's objects: what a field of that name is given, by the field's name or by `contract/field` where the name alone says too little. */
export type OwnedObjects = Readonly<Record<string, string>>;

/** Makes one object of each kind in the name of `owner`, over REST. */
export async function makeObjects(owner: PlatformPerson): Promise<OwnedObjects> {
  const { id: notification } = await owner.post("/api/v1/notifications:send", {
    channel: "CHANNEL_EMAIL",
    recipient: owner.email,
    text: { subject: "Private", body: "Nobody else's." },
  });
  const { apiKey } = await owner.post("/api/v1/auth/api-keys", { name: "mine", scopes: [] });
  const { sessions } = await owner.get("/api/v1/auth/sessions");
  const { id: account } = await owner.post("/api/v1/accounts", { requestId: "mine", displayName: "Mine", currency: "EUR" });
  const { id: transaction } = await owner.post("/api/v1/transactions", {
    requestId: "salary",
    accountId: account,
    kind: "TRANSACTION_KIND_INCOME",
    amount: "1000",
  });
  const { id: payment, holdId } = await paid(owner, account);
  const { id: test } = await owner.post("/api/v1/sensors/temperature/tests", { sampleRateHz: 10, samples: [20, 21, 20] });
  await owner.post("/api/v1/queues", { name: "mine" });
  const { messageId } = await owner.post("/api/v1/queue/mine/publish", { message: { data: 1, delay: "3600s" } });
  await owner.post("/api/v1/events", { key: owner.id, type: "mine.made", data: {} });
  await owner.post("/api/v1/event-groups/g:replay", { fromOffset: "1" });
  await owner.post("/api/v1/collections", { collection: { name: "mine" } });
  await owner.post("/api/v1/collections/mine/items", { items: [{ id: "note", text: "Nobody else's." }] });
  const { upload, job } = await extracted(owner);
  const value = await valueObjects(owner);
  return {
    ...value,
    upload_id: upload,
    job_id: job,
    account_id: account,
    from_account_id: account,
    to_account_id: account,
    transaction_id: transaction,
    hold_id: holdId,
    payment_id: payment,
    test_id: test,
    "queue.v1/queue": "mine",
    "queue.v1/name": "mine",
    message_id: messageId,
    "vector.v1/collection": "mine",
    "vector.v1/id": "note",
    "events.v1/owner": `user:${owner.id}`,
    user_id: owner.id,
    notification_id: notification,
    api_key_id: apiKey.id,
    session_id: sessions[0].id,
    // Only its owner knows of one that is there, so another's cannot be told from none.
    subscription_id: "0198a2b0-0000-7000-8000-000000000007",
  };
}

/** An upload, a table `mine` of its rows, and a job that has made a file of them. */
async function extracted(owner: PlatformPerson): Promise<{ readonly upload: string; readonly job: string }> {
  const { id: upload } = await owner.post("/api/v1/etl/uploads?file_name=mine.ndjson", { secret: 1 });
  const source = { file: { uploadId: upload } };
  const jobs = [];
  for (const load of [{ table: { table: "mine" } }, { file: {} }]) {
    const { id } = await owner.post("/api/v1/etl/jobs", { source, load });
    await until("the job to succeed", async () => (await owner.get(`/api/v1/etl/jobs/${id}`)).status === "STATUS_SUCCEEDED");
    jobs.push(id);
  }
  return { upload, job: jobs[1] };
}

/** A deal on its way through the value chain. */
async function valueObjects(owner: PlatformPerson): Promise<OwnedObjects> {
  const root = "/api/v1/value";
  const hypothesis = { driver: "D", baseline: 0, target: 1, dueDate: "2099-01-01", confidence: 1, valuePerUnit: 1 };
  const draft = { requestId: "mine", title: "Mine", currency: "EUR", investment: "1", hypotheses: [hypothesis] };
  const { id: model, hypotheses } = await owner.post(`${root}/models`, draft);
  await owner.post(`${root}/models/${model}:submit`, {});
  await owner.post(`${root}/models/${model}:approve`, {});
  const promise = { requestId: "mine", modelId: model, title: "Mine", deliverables: [{ title: "Mine", dueDate: "2099-01-01" }] };
  const { id: commitment } = await owner.post(`${root}/commitments`, promise);
  await owner.post(`${root}/commitments/${commitment}:propose`, {});
  await owner.post(`${root}/commitments/${commitment}:sign`, { signatory: "Me" });
  const made = async () => (await owner.get(`${root}/deliveries?commitmentId=${commitment}`)).deliveries?.[0];
  await until("the delivery", async () => (await made()) !== undefined, 20_000);
  const delivery = await made();
  const milestone = delivery.milestones[0].id;
  await owner.post(`${root}/milestones/${milestone}:start`, {});
  await owner.post(`${root}/milestones/${milestone}:complete`, {});
  await owner.post(`${root}/deliveries/${delivery.id}:complete`, {});
  // NOT_FOUND until the first event of the model has come.
  const progress = () => owner.get(`${root}/models/${model}/progress`).catch(() => ({}));
  await until("the delivery to be heard of", async () => (await progress()).completedDeliveries === 1, 20_000);
  const about = { requestId: "mine", modelId: model, hypothesisId: hypotheses[0].id };
  const { id: realisation } = await owner.post(`${root}/realisations`, { ...about, actual: 1 });
  const strategy = { ...about, title: "Mine", effect: 1, confidence: 1, reach: 1, effortDays: 1 };
  const { id: strategyId } = await owner.post(`${root}/strategies`, strategy);
  return {
    model_id: model,
    "value.v1/id": model,
    commitment_id: commitment,
    delivery_id: delivery.id,
    milestone_id: milestone,
    realisation_id: realisation,
    strategy_id: strategyId,
  };
}

/** A payment that has come to its end. */
async function paid(owner: PlatformPerson, accountId: string): Promise<{ readonly id: string; readonly holdId: string }> {
  const order = { requestId: "order", accountId, amount: "100", currency: "EUR", paymentMethod: "tok_visa" };
  const { id } = await owner.post("/api/v1/payments", order);
  let payment = await owner.get(`/api/v1/payments/${id}`);
  await until("the payment to be captured", async () => {
    payment = await owner.get(`/api/v1/payments/${id}`);
    return payment.status === "PAYMENT_STATUS_CAPTURED";
  });
  return payment;
}

/** Names that do not end on `_id` and name objects all the same, as `package/field`. */
export const extraNames: readonly string[] = ["queue.v1/queue", "queue.v1/name", "events.v1/owner", "vector.v1/collection"];

/** Methods whose field may name another's object, and what they answer then: `contract/Method field`, with the code that tells nothing. */
export const harmless: Readonly<Record<string, Code | 0>> = {
  // It narrows the list of the caller's own payments, to none.
  "payment.v1.PaymentService/ListPayments account_id": 0,
  // The same of the caller's own commitments and deliveries.
  "value.v1.CommitterService/ListCommitments model_id": 0,
  "value.v1.ExecutorService/ListDeliveries model_id": 0,
  "value.v1.ExecutorService/ListDeliveries commitment_id": 0,
  // Names of queues are taken once for all, so who wants the same one hears that it is.
  "queue.v1.QueueService/CreateQueue queue.name": Code.AlreadyExists,
};

/** Fields that end on `_id` or look so and name nothing that belongs to somebody. */
export const ownerless: readonly string[] = [
  "request_id",
  // UpdateMe reads no id: it changes who calls.
  "auth.v1/id",
  // To whom money goes is anybody, and whom a queue's owner lets in as well.
  "payee_account_id",
  // What a sensor is called by whoever tests it.
  "sensor_id",
  // A process of the mesh or a program beside it, which is nobody's.
  "instance_id",

  // It is looked for in a model, whose id is tried.
  "hypothesis_id",
  // Whoever owns a delivery gives its milestones to anybody.
  "value.v1/owner_id",
];

const hypothesis = { driver: "D", baseline: 0, target: 1, dueDate: "2099-01-01", confidence: 1, valuePerUnit: 1 };
const effects = { effect: 1, confidence: 1, reach: 1, effortDays: 1 };

/** What a method needs besides its owned field to be valid, as JSON: by `contract/Method`, or by `contract/Method field` where fields differ. A method that is not named here needs nothing. */
export const validRequests: Readonly<Record<string, JsonValue>> = {
  "auth.v1.AuthService/RecordAuditEvent": { action: "session.ended" },
  "ledger.v1.AccountService/OpenAccount": { currency: "EUR" },
  "ledger.v1.TransactionService/RecordTransaction": { requestId: "r", kind: "TRANSACTION_KIND_INCOME", amount: "1" },
  "ledger.v1.TransactionService/Transfer": { requestId: "r", amount: "1", fromAccountId: nobody, toAccountId: otherNobody },
  "ledger.v1.TransactionService/ScanTransactions": { boundariesMs: ["0", "1"] },
  "ledger.v1.TransactionService/ReserveFunds": { requestId: "r", amount: "1" },
  "ledger.v1.TransactionService/CaptureHold": { requestId: "r" },
  "ledger.v1.TransactionService/ReleaseHold": { requestId: "r" },
  "ledger.v1.TransactionService/RefundCapture": { requestId: "r" },
  "payment.v1.PaymentService/CreatePayment": {
    requestId: "r",
    accountId: nobody,
    amount: "1",
    currency: "EUR",
    paymentMethod: "tok_visa",
  },
  "payment.v1.PaymentService/CapturePayment": { requestId: "r" },
  "payment.v1.PaymentService/CancelPayment": { requestId: "r" },
  "payment.v1.PaymentService/RefundPayment": { requestId: "r" },
  "analytics.v1.AnalyticsService/Query": { metric: "cash_flow" },
  "analytics.v1.AnalyticsService/DrawQuery": { metric: "cash_flow" },
  "sensor.v1.SensorService/RunTest": { sensorType: "temperature", sampleRateHz: 1, samples: [20] },
  "sensor.v1.SensorService/UploadSamples user_id": { sensorType: "temperature", sampleRateHz: 1, samples: [20] },
  "sensor.v1.SensorService/UploadSamples test_id": { samples: [20] },
  "etl.v1.EtlService/UploadFile": { fileName: "a.csv" },
  "etl.v1.EtlService/CreateJob": { source: { file: { uploadId: nobody } }, load: { file: {} } },
  "etl.v1.EtlService/GetTable": { table: "mine" },
  "etl.v1.EtlService/ReadTable": { table: "mine" },
  "etl.v1.EtlService/DeleteTable": { table: "mine" },
  "events.v1.EventService/CommitOffset": { group: "g", offset: "1" },
  "events.v1.EventService/Replay": { group: "g", fromOffset: "1" },
  "events.v1.EventService/GetGroup": { group: "g" },
  "events.v1.EventService/DeleteGroup": { group: "g" },
  "queue.v1.QueueService/Publish": { message: { data: 1 } },
  "queue.v1.QueueService/PublishBatch": { messages: [{ data: 1 }] },
  "queue.v1.QueueService/Ack": { ackTokens: ["t"] },
  "queue.v1.QueueService/Nack": { ackTokens: ["t"] },
  "queue.v1.QueueService/ExtendVisibility": { ackTokens: ["t"], visibilityTimeout: "1s" },
  "queue.v1.QueueService/CancelScheduled": { queue: "mine", messageId: nobody },
  "queue.v1.QueueService/Subscribe": { credits: 1 },
  "vector.v1.VectorService/Search": { query: "note", collection: "mine" },
  "vector.v1.VectorService/CreateCollection": { collection: { name: "other" } },
  "vector.v1.VectorService/GetCollection": { collection: "mine" },
  "vector.v1.VectorService/DeleteCollection": { collection: "mine" },
  "vector.v1.VectorService/BatchUpsertItems": { collection: "mine", items: [{ id: "note", text: "Mine now." }] },
  "vector.v1.VectorService/UpsertItems": { collection: "mine", items: [{ id: "note", text: "Mine now." }] },
  "vector.v1.VectorService/GetItem": { collection: "mine", id: "note" },
  "vector.v1.VectorService/ListItems": { collection: "mine" },
  "vector.v1.VectorService/DeleteItems": { collection: "mine", ids: ["note"] },
  "vector.v1.VectorService/DeleteItem": { collection: "mine", id: "note" },
  "notification.v1.NotificationService/Send": {
    channel: "CHANNEL_EMAIL",
    recipient: "a@example.com",
    text: { subject: "x", body: "y" },
  },
  "value.v1.ArchitectService/CreateModel": { requestId: "r", title: "T", currency: "EUR" },
  "value.v1.ArchitectService/UpdateModel": { model: { id: nobody, title: "T" } },
  "value.v1.ArchitectService/AddHypothesis": { requestId: "r", modelId: nobody, hypothesis },
  "value.v1.ArchitectService/ReplaceHypothesis": { modelId: nobody, hypothesisId: nobody, hypothesis },
  "value.v1.ArchitectService/RemoveHypothesis": { hypothesisId: nobody },
  "value.v1.ArchitectService/ReturnModel": { reason: "r" },
  "value.v1.CommitterService/CreateCommitment": { requestId: "r", title: "T" },
  "value.v1.CommitterService/UpdateCommitment": { commitment: { id: nobody, title: "T" } },
  "value.v1.CommitterService/RejectCommitment": { reason: "r" },
  "value.v1.CommitterService/SignCommitment": { signatory: "S" },
  "value.v1.ExecutorService/CancelDelivery": { reason: "r" },
  "value.v1.ExecutorService/AddMilestone": { requestId: "r", title: "T", plannedDate: "2099-01-01" },
  "value.v1.ExecutorService/UpdateMilestone": { milestone: { id: nobody, progress: 1 }, updateMask: "progress" },
  "value.v1.ExecutorService/CancelMilestone": { reason: "r" },
  "value.v1.AmplifierService/RecordRealisation": { requestId: "r", hypothesisId: nobody, actual: 1 },
  "value.v1.AmplifierService/CreateStrategy": { requestId: "r", hypothesisId: nobody, title: "T", ...effects },
  "value.v1.AmplifierService/UpdateStrategy": { strategy: { id: nobody, title: "T", ...effects } },
  "value.v1.AmplifierService/DropStrategy": { reason: "r" },
};
