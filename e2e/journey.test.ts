import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret, TOTP } from "otpauth";
import pg from "pg";
import { request } from "./http.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

describe("a user's journey over REST, on the platform as `npm start` runs it", () => {
  let platform: Platform;
  before(async function () {
    this.timeout(90_000);
    platform = await startPlatform();
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  it("register -> verification mail -> login -> MFA -> API key -> notification -> history, and the rows in PostgreSQL", async () => {
    const api = `${platform.gateway}/api/v1`;
    const email = "grace@example.com";
    const password = "a nanosecond is 30 cm";

    const registered = await request("POST", `${api}/auth/register`, { body: { email, password, name: "Grace" } });
    assert.equal(registered.status, 200);
    const user = registered.body.user;
    const { id: _id, createTime: _created, updateTime: _updated, ...rest } = user;
    assert.deepEqual(rest, { email, name: "Grace" });

    const mail = await mailTo(platform.dataDir, email);
    const verification = /[?&]token=([A-Za-z0-9_-]+)/.exec(mail);
    assert.ok(verification, mail);
    const verified = await request("POST", `${api}/auth/verify-email`, { body: { token: verification[1] } });
    assert.equal(verified.status, 200);
    assert.equal(verified.body.emailVerified, true);

    const login = await request("POST", `${api}/auth/login`, { body: { email, password } });
    assert.equal(login.status, 200);
    assert.equal(login.body.token_type, "Bearer");
    // A JWT ends on a whole second, so up to one of its 900 seconds is gone already.
    assert.ok([899, 900].includes(login.body.expires_in), String(login.body.expires_in));
    const token: string = login.body.access_token;

    const enrolled = await request("POST", `${api}/auth/mfa/enroll`, { token, body: { password } });
    assert.equal(enrolled.status, 200);
    const totp = new TOTP({ secret: Secret.fromBase32(enrolled.body.secret) });
    const confirmed = await request("POST", `${api}/auth/mfa/confirm`, { token, body: { code: totp.generate() } });
    assert.equal(confirmed.status, 200);
    assert.equal(confirmed.body.recoveryCodes.length, 10);

    const withoutCode = await request("POST", `${api}/auth/login`, { body: { email, password } });
    assert.equal(withoutCode.status, 401);
    assert.equal(withoutCode.body.details[0].reason, "MFA_REQUIRED");
    const recovery: string = confirmed.body.recoveryCodes[0];
    const second = await request("POST", `${api}/auth/login`, { body: { email, password, mfaCode: recovery } });
    assert.equal(second.status, 200);
    const usedAgain = await request("POST", `${api}/auth/login`, { body: { email, password, mfaCode: recovery } });
    assert.equal(usedAgain.status, 401);

    const key = await request("POST", `${api}/auth/api-keys`, {
      token,
      body: { name: "ci", scopes: ["notifications:send", "notifications:read"] },
    });
    assert.equal(key.status, 200);
    const apiKey: string = key.body.secret;

    const requestId = "0198a2b0-0000-7000-8000-000000000001";
    const notification = {
      requestId,
      channel: "CHANNEL_EMAIL",
      recipient: email,
      text: { subject: "Compiled", body: "The compiler is done." },
    };
    const sent = await request("POST", `${api}/notifications:send`, { apiKey, body: notification });
    assert.equal(sent.status, 200, JSON.stringify(sent.body));
    const again = await request("POST", `${api}/notifications:send`, { apiKey, body: notification });
    assert.equal(again.status, 200);
    assert.equal(again.body.id, sent.body.id);

    const history = async () => (await request("GET", `${api}/users/${user.id}/notifications`, { apiKey })).body.notifications;
    await until("the notification to be sent", async () =>
      (await history()).some((one: { id: string; status: string }) => one.id === sent.body.id && one.status === "STATUS_SENT"),
    );
    assert.deepEqual(
      (await history()).map((one: { subject: string; status: string; template?: string }) => [
        one.subject,
        one.status,
        one.template,
      ]),
      [
        ["Compiled", "STATUS_SENT", undefined],
        [(await history())[1].subject, "STATUS_SENT", "verify-email"],
      ],
    );
    assert.match(await mailWith(platform.dataDir, "Compiled"), /The compiler is done\./);

    const revoked = await request("DELETE", `${api}/auth/api-keys/${key.body.apiKey.id}`, { token });
    assert.equal(revoked.status, 200);
    await until("the revoked key to be refused", async () => {
      return (await request("GET", `${api}/users/${user.id}/notifications`, { apiKey })).status === 401;
    });

    const logout = await request("POST", `${api}/auth/logout`, { token, body: {} });
    assert.deepEqual(logout.body, { sessionsEnded: 1 });
    assert.equal((await request("GET", `${api}/auth/me`, { token })).status, 401);
    assert.equal((await request("GET", `${api}/users/${user.id}/notifications`, { token })).status, 401);
    const refresh = await request("POST", `${api}/auth/refresh`, { body: { refreshToken: login.body.refresh_token } });
    assert.equal(refresh.status, 401);

    assert.deepEqual(
      await rows(platform, "heddle_auth", "SELECT email, email_verified AS verified FROM users WHERE id = $1", [user.id]),
      [{ email, verified: true }],
    );
    assert.deepEqual(
      await rows(platform, "heddle_notification", "SELECT count(*)::int AS count FROM notification WHERE user_id = $1", [
        user.id,
      ]),
      [{ count: 2 }],
    );
  }).timeout(60_000);
});

async function rows(platform: Platform, database: string, sql: string, params: unknown[]): Promise<unknown[]> {
  const status = JSON.parse(await platform.heddle("status", "--json")) as { postgres: { url: string } };
  const url = new URL(status.postgres.url);
  url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query(sql, params)).rows;
  } finally {
    await client.end();
  }
}

const mailTo = (dataDir: string, address: string) => mailWith(dataDir, address);

async function mailWith(dataDir: string, text: string): Promise<string> {
  const folder = join(dataDir, "notification", "mail");
  let found: string | undefined;
  await until(`a mail with ${text}`, async () => {
    for (const name of await readdir(folder).catch(() => [])) {
      const mail = decodeQuotedPrintable(await readFile(join(folder, name), "utf8"));
      if (mail.includes(text)) found = mail;
    }
    return found !== undefined;
  });
  return found ?? "";
}

/** The two escapes of RFC 2045, section 6.7; enough for ASCII. */
function decodeQuotedPrintable(mail: string): string {
  return mail
    .replace(/=\r?\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
