import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { SignJWT, UnsecuredJWT } from "jose";
import type { AuditEvent } from "#gen/auth/v1/audit_pb.ts";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { Channel } from "#gen/notification/v1/message_pb.ts";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { type RunningGateway, runGateway } from "../gateway/service.ts";
import { auth } from "../services/auth/service.ts";
import { notification } from "../services/notification/service.ts";
import { request } from "./http.ts";
import { until } from "./until.ts";

const password = "a good long passphrase";

describe("what is refused for who sent it stands in the audit log, once", () => {
  const undo = new AsyncDisposableStack();
  let mesh: TestMesh;
  let gateway: RunningGateway;
  let authClient: Client<typeof AuthService>;
  let api: string;
  /** Ada, and a token of hers that logged out. */
  let ada: { readonly id: string; readonly token: string };
  let loggedOut: string;
  let bob: { readonly id: string; readonly token: string };

  before(async function () {
    this.timeout(60_000);
    mesh = undo.use(await startMesh([auth, notification]));
    gateway = await runGateway({ ...mesh.env, GATEWAY_PORT: "0" });
    undo.defer(() => gateway.stop());
    api = `http://127.0.0.1:${gateway.port}/api/v1`;
    authClient = mesh.client(AuthService);
    ada = await signUp("ada@example.com");
    bob = await signUp("bob@example.com");
    loggedOut = (await authClient.login({ email: "ada@example.com", password })).accessToken;
    await authClient.logout({}, { headers: { authorization: `Bearer ${loggedOut}` } });
  });
  after(async function () {
    this.timeout(30_000);
    await undo.disposeAsync();
  });

  async function signUp(email: string) {
    const { user } = await authClient.register({ email, password });
    const { accessToken } = await authClient.login({ email, password });
    return { id: user?.id ?? "", token: accessToken };
  }

  /** The refusals of one call, found by its correlation id; waits for the first. */
  async function refusals(correlationId: string): Promise<readonly AuditEvent[]> {
    let found: readonly AuditEvent[] = [];
    await until(`the refusal of ${correlationId}`, async () => {
      // Each call of this file was refused once, so an id that is there twice was recorded by two processes.
      const { events } = await authClient.listAuditLog({ pageSize: 200 });
      found = events.filter((event) => event.correlationId === correlationId);
      return found.length > 0;
    });
    return found;
  }

  /** As somebody who has found the service's port: no proof of a calling service, no policies. */
  async function directly(service: string, work: (transport: Transport) => Promise<void>): Promise<void> {
    const baseUrl = `http://127.0.0.1:${mesh.services.get(service)?.port}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    try {
      await work(createGrpcTransport({ baseUrl, sessionManager }));
    } finally {
      sessionManager.abort();
    }
  }

  const claims = () => ({ sid: crypto.randomUUID(), kind: "user", roles: ["admin"] });
  const forged = () =>
    new SignJWT(claims())
      .setProtectedHeader({ alg: "EdDSA", kid: "forged" })
      .setIssuer("heddle")
      .setAudience("heddle")
      .setSubject(ada.id)
      .setExpirationTime("5m")
      .sign(generateKeyPairSync("ed25519").privateKey);
  const unsigned = async () =>
    new UnsecuredJWT(claims()).setIssuer("heddle").setAudience("heddle").setSubject(ada.id).setExpirationTime("5m").encode();

  const bad = [
    { what: "a forged JWT", make: forged, reason: "TOKEN_INVALID", known: false },
    { what: "a JWT with alg none", make: unsigned, reason: "TOKEN_INVALID", known: false },
    { what: "a token of a session that logged out", make: async () => loggedOut, reason: "TOKEN_REVOKED", known: true },
  ];

  /** One row, and nothing of the token in it. */
  async function assertAudited(correlationId: string, token: string, expected: Partial<AuditEvent>): Promise<void> {
    const rows = await refusals(correlationId);
    const { action, reason, success, userId, ipAddress } = rows[0] as AuditEvent;
    assert.deepEqual({ rows: rows.length, action, reason, success, userId, ipAddress }, { rows: 1, success: false, ...expected });
    const stored = JSON.stringify(rows, (_key, value) => (typeof value === "bigint" ? Number(value) : value));
    for (const part of [token, ...token.split(".")]) assert(part === "" || !stored.includes(part), `${part} is in ${stored}`);
  }

  for (const { what, make, reason, known } of bad) {
    it(`${what}, at the gateway`, async () => {
      const token = await make();
      const id = crypto.randomUUID();
      const headers = { "x-correlation-id": id };
      await until("the gateway to refuse it", async () => {
        return (await request("GET", `${api}/auth/me`, { token, headers })).status === 401;
      });
      await assertAudited(id, token, {
        action: "token.refused",
        reason: `${reason}: auth.v1.AuthService/GetMe`,
        userId: known ? ada.id : "",
        ipAddress: "127.0.0.1",
      });
    });

    for (const [service, method] of [
      ["notification", "notification.v1.NotificationService/ListTemplates"],
      ["auth", ""],
    ] as const) {
      it(`${what}, directly at ${service}`, async () => {
        const token = await make();
        const id = crypto.randomUUID();
        const headers = { authorization: `Bearer ${token}`, "x-correlation-id": id };
        await directly(service, async (transport) => {
          const call = () =>
            service === "auth"
              ? createClient(AuthService, transport).getMe({}, { headers })
              : createClient(NotificationService, transport).listTemplates({}, { headers });
          await until("the service to refuse it", async () => {
            const error = await call().catch((thrown: unknown) => thrown);
            return error instanceof ConnectError && error.code === Code.Unauthenticated;
          });
        });
        await assertAudited(id, token, {
          action: "token.refused",
          reason: method === "" ? reason : `${reason}: ${method}`,
          userId: known ? ada.id : "",
          ipAddress: "127.0.0.1",
        });
      });
    }
  }

  it("a user who reads the audit log (ROLE_REQUIRED): by the gateway over REST, by auth when it is asked directly", async () => {
    const [overRest, direct] = [crypto.randomUUID(), crypto.randomUUID()];
    const denied = { action: "access.denied", reason: "ROLE_REQUIRED: auth.v1.AuthService/ListAuditLog", userId: ada.id };
    const answer = await request("GET", `${api}/auth/audit-log`, { token: ada.token, headers: { "x-correlation-id": overRest } });
    assert.equal(answer.status, 403);
    await assertAudited(overRest, ada.token, { ...denied, ipAddress: "127.0.0.1" });
    const headers = { authorization: `Bearer ${ada.token}`, "x-correlation-id": direct };
    await directly("auth", async (transport) => {
      await assert.rejects(createClient(AuthService, transport).listAuditLog({}, { headers }), { code: Code.PermissionDenied });
    });
    await assertAudited(direct, ada.token, { ...denied, ipAddress: "127.0.0.1" });
  });

  it("another user's notification: 404, and NOT_YOURS in the log; one that does not exist is in no log", async () => {
    const notifications = mesh.client(NotificationService);
    const content = { case: "text", value: { body: "there" } } as const;
    const { notification: sent } = await notifications.send({
      userId: bob.id,
      channel: Channel.EMAIL,
      recipient: "bob@example.com",
      content,
    });
    const [anothers, none, list] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    const get = async (id: string | undefined, correlation: string) =>
      request("GET", `${api}/notifications/${id}`, { token: ada.token, headers: { "x-correlation-id": correlation } });
    assert.equal((await get(crypto.randomUUID(), none)).status, 404);
    assert.equal((await get(sent?.id, anothers)).status, 404);
    const denied = { action: "access.denied", userId: ada.id, ipAddress: "127.0.0.1" };
    const method = "notification.v1.NotificationService";
    await assertAudited(anothers, ada.token, { ...denied, reason: `NOT_YOURS: ${method}/GetNotification` });
    const headers = { "x-correlation-id": list };
    const listed = await request("GET", `${api}/users/${bob.id}/notifications`, { token: ada.token, headers });
    assert.equal(listed.status, 403);
    await assertAudited(list, ada.token, { ...denied, reason: `NOT_YOUR_NOTIFICATIONS: ${method}/ListNotifications` });
    const { events } = await authClient.listAuditLog({ pageSize: 200 });
    assert.deepEqual(
      events.filter(({ correlationId }) => correlationId === none),
      [],
    );
    const ids = events.filter(({ success }) => !success).map(({ correlationId }) => correlationId);
    assert.deepEqual(ids, [...new Set(ids)]);
  });
});
