/**
 * Example calls of the routes that older programs use, one row each, in an order that tells a story: what a row keeps, later
 * rows name as `{name}` in their path, body or token.
 */
import { type AliasCall, anything } from "./alias-calls/alias-call.ts";
import { analysisCalls } from "./alias-calls/analysis.ts";
import { calculationCalls } from "./alias-calls/calculation.ts";
import { discoveryCalls } from "./alias-calls/discovery.ts";
import { etlCalls } from "./alias-calls/etl.ts";
import { metricsCalls } from "./alias-calls/metrics.ts";
import { sensorCalls } from "./alias-calls/sensor.ts";
import { valueCalls } from "./alias-calls/value.ts";
import { vectorCalls } from "./alias-calls/vector.ts";

const password = "a rope of sand 1842";
const account = { email: "alias@example.com", password };
const mail = { channel: "CHANNEL_EMAIL", recipient: "alias@example.com", text: { subject: "Hello", body: "An old friend." } };

const ledgerCalls: readonly AliasCall[] = [
  {
    call: "POST /api/v1/accounts",
    rpc: "ledger.v1.AccountService/OpenAccount",
    body: { requestId: "open", displayName: "Everyday", currency: "EUR" },
    answer: { displayName: "Everyday", currency: "EUR", minorUnitDigits: 2, status: "ACCOUNT_STATUS_OPEN" },
    keep: { account: "id" },
  },
  {
    call: "GET /api/v1/users/{user}/accounts",
    rpc: "ledger.v1.AccountService/ListAccounts",
    answer: { accounts: [{ id: "{account}", userId: "{user}" }] },
  },
  {
    call: "POST /api/v1/accounts/{account}/transactions",
    rpc: "ledger.v1.TransactionService/RecordTransaction",
    body: { requestId: "salary", kind: "TRANSACTION_KIND_INCOME", amount: "5000", category: "salary" },
    answer: { kind: "TRANSACTION_KIND_INCOME", amount: "5000", currency: "EUR", category: "salary" },
  },
  {
    call: "GET /api/v1/accounts/{account}/transactions",
    rpc: "ledger.v1.TransactionService/ListTransactions",
    answer: { transactions: [{ amount: "5000" }] },
  },
  {
    call: "GET /api/v1/users/{user}/transactions",
    rpc: "ledger.v1.TransactionService/ListTransactions",
    answer: { transactions: [{ amount: "5000" }] },
  },
  {
    call: "DELETE /api/v1/accounts/{account}",
    rpc: "ledger.v1.AccountService/CloseAccount",
    status: 400,
    answer: { code: 9 },
  },
];

const paymentCalls: readonly AliasCall[] = [
  {
    call: "POST /api/v1/payments",
    rpc: "payment.v1.PaymentService/CreatePayment",
    body: { requestId: "order-1", accountId: "{account}", amount: "1200", currency: "EUR", paymentMethod: "tok_visa" },
    answer: { status: "PAYMENT_STATUS_PROCESSING", amount: "1200", currency: "EUR" },
    keep: { payment: "id" },
  },
  {
    call: "GET /api/v1/users/{user}/payments",
    rpc: "payment.v1.PaymentService/ListPayments",
    answer: { payments: [{ id: "{payment}" }] },
  },
  {
    call: "GET /api/v1/payments/{payment}/events",
    rpc: "payment.v1.PaymentService/WatchPayment",
    stream: true,
    answer: { number: "1", payment: { id: "{payment}" } },
  },
  {
    call: "POST /api/v1/payments/{payment}/refunds",
    rpc: "payment.v1.PaymentService/RefundPayment",
    // More than was paid, so that the answer does not depend on how far the payment is.
    body: { requestId: "refund-1", amount: "999999" },
    status: 400,
    answer: { code: 9 },
  },
];

const analyticsCalls: readonly AliasCall[] = [
  {
    call: "POST /analytics/query",
    rpc: "analytics.v1.AnalyticsService/Query",
    body: { metric: "spending_trends", period: "2026-03", compare_to: "previous_period" },
    answer: {
      metric: "spending_trends",
      period: { fromTime: "2026-03-01T00:00:00Z", toTime: "2026-04-01T00:00:00Z", timeZone: "UTC", granularity: "day" },
    },
  },
  {
    call: "POST /api/analytics/query",
    rpc: "analytics.v1.AnalyticsService/Query",
    body: { metric: "health_score" },
    answer: { metric: "health_score" },
  },
  {
    call: "GET /api/v1/analytics/anomalies?period=P1Y",
    rpc: "analytics.v1.AnalyticsService/Query",
    answer: { metric: "anomalies" },
  },
];

const eventCalls: readonly AliasCall[] = [
  {
    call: "POST /send-event",
    rpc: "events.v1.EventService/PublishEvent",
    body: { key: "{user}", type: "shelf.filled", data: { books: 3 } },
    answer: { status: "SENT", event: { key: "{user}", type: "shelf.filled", data: { books: 3 } } },
  },
  {
    call: "GET /api/v1/events:subscribe?fromBeginning=true",
    rpc: "events.v1.EventService/Subscribe",
    stream: true,
    answer: { event: { key: "{user}", type: "shelf.filled" } },
  },
  { call: "GET /kafka/stats", rpc: "events.v1.EventService/GetStats", answer: { relay: anything } },
  { call: "GET /kafka/logs", rpc: "events.v1.EventService/ListLogs", answer: anything },
];

const queueCalls: readonly AliasCall[] = [
  {
    call: "POST /api/v1/queues",
    rpc: "queue.v1.QueueService/CreateQueue",
    body: { name: "errands" },
    answer: { name: "errands" },
  },
  {
    call: "POST /api/v1/queue/errands/publish",
    rpc: "queue.v1.QueueService/Publish",
    body: { message: { data: { buy: "bread" } } },
    answer: { messageId: anything },
    keep: { message: "messageId" },
  },
  {
    call: "GET /api/v1/queue/errands/consume?maxMessages=1&wait=5s",
    rpc: "queue.v1.QueueService/Pull",
    answer: { deliveries: [{ messageId: "{message}", data: { buy: "bread" }, deliveryCount: 1 }] },
  },
  {
    call: "POST /api/v1/queue/errands/dead-letters:redrive",
    rpc: "queue.v1.QueueService/Redrive",
    body: {},
    answer: {},
  },
];

/** The rows. */
export const aliasCalls: readonly AliasCall[] = [
  {
    call: "POST /auth/register",
    rpc: "auth.v1.AuthService/Register",
    token: "",
    body: { ...account, name: "Al" },
    answer: { user: { email: account.email, name: "Al" } },
    keep: { user: "user.id" },
  },
  {
    call: "POST /api/auth/register",
    rpc: "auth.v1.AuthService/Register",
    token: "",
    body: { email: "second@example.com", password },
    answer: { user: { email: "second@example.com" } },
  },
  {
    call: "POST /auth/login",
    rpc: "auth.v1.AuthService/Login",
    token: "",
    body: account,
    answer: { token_type: "Bearer", access_token: anything, user: { id: "{user}" } },
    keep: { token: "access_token" },
  },
  {
    call: "POST /api/auth/login",
    rpc: "auth.v1.AuthService/Login",
    token: "",
    body: account,
    answer: { token_type: "Bearer" },
    keep: { other: "access_token" },
  },
  {
    call: "POST /auth/token",
    rpc: "auth.v1.AuthService/Token",
    token: "",
    body: { grant_type: "password", username: account.email, password },
    answer: { token_type: "Bearer" },
  },
  { call: "GET /auth/me", rpc: "auth.v1.AuthService/GetMe", answer: { id: "{user}", name: "Al" } },
  { call: "PATCH /auth/me", rpc: "auth.v1.AuthService/UpdateMe", body: { name: "Alan" }, answer: { name: "Alan" } },
  {
    call: "PUT /auth/me",
    rpc: "auth.v1.AuthService/UpdateMe",
    body: { name: "Ali", email: account.email },
    answer: { name: "Ali" },
  },
  {
    call: "PUT /api/v1/auth/me",
    rpc: "auth.v1.AuthService/UpdateMe",
    body: { name: "Alia", email: account.email },
    answer: { name: "Alia" },
  },
  { call: "GET /auth/verify", rpc: "auth.v1.AuthService/Verify", answer: anything },
  {
    call: "GET /verify-email?token=of-nobody",
    rpc: "auth.v1.AuthService/VerifyEmail",
    token: "",
    status: 400,
    answer: { code: 3 },
  },
  {
    call: "POST /notifications/send",
    rpc: "notification.v1.NotificationService/Send",
    body: mail,
    answer: { subject: "Hello", body: "An old friend." },
    keep: { notification: "id" },
  },
  {
    call: "POST /api/notifications/send",
    rpc: "notification.v1.NotificationService/Send",
    body: mail,
    answer: { subject: "Hello" },
  },
  {
    call: "POST /notifications/send-batch",
    rpc: "notification.v1.NotificationService/SendBatch",
    body: { requests: [mail, { ...mail, channel: "CHANNEL_SMS", recipient: "12" }] },
    answer: { results: [{ notification: { subject: "Hello" } }, { error: { code: 3 } }] },
  },
  {
    call: "GET /notifications/notification/{notification}",
    rpc: "notification.v1.NotificationService/GetNotification",
    answer: { id: "{notification}", subject: "Hello" },
  },
  {
    call: "GET /notifications/user/{user}",
    rpc: "notification.v1.NotificationService/ListNotifications",
    answer: { notifications: anything },
  },
  ...ledgerCalls,
  ...paymentCalls,
  ...analyticsCalls,
  ...sensorCalls,
  ...eventCalls,
  ...queueCalls,
  ...discoveryCalls,
  ...metricsCalls,
  ...calculationCalls,
  ...etlCalls,
  ...vectorCalls,
  ...analysisCalls,
  ...valueCalls,
  // Last, since they end what the others need.
  {
    call: "POST /auth/change-password",
    rpc: "auth.v1.AuthService/ChangePassword",
    token: "{other}",
    body: { currentPassword: password, newPassword: "another rope of sand" },
    answer: {},
  },
  { call: "POST /auth/logout", rpc: "auth.v1.AuthService/Logout", token: "{other}", body: {}, answer: { sessionsEnded: 1 } },
];
