/**
 * Example calls of the routes that older programs use, one row each, in an order that tells a story: what a row keeps, later
 * rows name as `{name}` in their path, body or token.
 */

/** One call and what it must be answered. */
export interface AliasCall {
  /** The HTTP method and the path with its query. */
  readonly call: string;
  /** The method that the route leads to. */
  readonly rpc: string;
  /** The JSON body, none when left out. */
  readonly body?: unknown;
  /** The bearer token; default `{token}`, and none where it is empty. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 200. */
  readonly status?: number;
  /** What the body must hold: objects may hold more than is named here, `anything` stands for any value that is there. */
  readonly answer?: unknown;
  /** Values for later rows: name -> path in the answer, such as `user.id` or `items.0.id`. */
  readonly keep?: Readonly<Record<string, string>>;
}

/** Stands for any value that is there. */
export const anything = "<anything>";

const password = "a rope of sand 1842";
const account = { email: "alias@example.com", password };
const mail = { channel: "CHANNEL_EMAIL", recipient: "alias@example.com", text: { subject: "Hello", body: "An old friend." } };

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
