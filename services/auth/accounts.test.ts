import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { good, mailedToken, refused, refusedField, signUp, startTestAuth, type TestAuth, until } from "./auth.fixture.ts";
import { seedAdmin } from "./seed-admin.ts";

describe("accounts", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  describe("register", () => {
    it("makes a user, compares the address without regard to case, and mails a link", async () => {
      const { user } = await auth.call("register", { email: "Ada@Example.com", password: good, name: "Ada" });
      assert.equal(user?.email, "Ada@Example.com");
      assert.equal(user?.emailVerified, false);
      assert.deepEqual(user?.roles, []);
      await assert.rejects(auth.call("register", { email: "ada@example.COM", password: good }), refused(Code.AlreadyExists));
      await until(() => auth.mails.length === 1);
      const [mail] = auth.mails;
      assert.equal(mail?.userId, user?.id);
      assert.equal(mail?.recipient, "Ada@Example.com");
      const { name, values } =
        mail?.content.case === "template" ? mail.content.value : { name: "", values: {} as Record<string, string> };
      assert.equal(name, "verify-email");
      assert.deepEqual(Object.keys(values).sort(), ["link", "name", "token"]);
      assert.equal(values.link, `https://heddle.example/verify-email?token=${values.token}`);
      assert.deepEqual(await auth.audited(), ["user.registered", "!user.register_refused"]);
    });

    it("the same request_id answers with the same user, with other contents it is ALREADY_EXISTS", async () => {
      const request = { requestId: crypto.randomUUID(), email: "ada@example.com", password: good, name: "Ada" };
      const answers = await Promise.all(Array.from({ length: 5 }, () => auth.call("register", request)));
      assert.equal(new Set(answers.map(({ user }) => user?.id)).size, 1);
      for (const other of [{ name: "Eve" }, { password: "another good passphrase" }, { email: "eve@example.com" }]) {
        await assert.rejects(
          auth.call("register", { ...request, ...other }),
          (error) => refused(Code.AlreadyExists)(error) && /request_id/.test((error as Error).message),
        );
      }
      assert.deepEqual(await auth.db.query("select count(*)::int as n from users"), [{ n: 1 }]);
    });

    it("a repeated request_id is no way to try passwords past the lock-out of sign-ins", async () => {
      const request = { requestId: crypto.randomUUID(), email: "ada@example.com", password: good, name: "Ada" };
      const { user } = await auth.call("register", request);
      for (let n = 0; n < 5; n++) {
        await assert.rejects(
          auth.call("register", { ...request, password: `a guess of mine ${n}` }),
          refused(Code.AlreadyExists),
        );
      }
      await assert.rejects(auth.call("register", request), refused(Code.ResourceExhausted));
      await assert.rejects(auth.call("login", { email: "ada@example.com", password: good }), refused(Code.ResourceExhausted));
      auth.clock.offsetMs += 30_000;
      assert.equal((await auth.call("register", request)).user?.id, user?.id);
      // The right password did not wipe out the guesses before it.
      await assert.rejects(auth.call("register", { ...request, password: "another guess" }), refused(Code.AlreadyExists));
      await assert.rejects(auth.call("login", { email: "ada@example.com", password: good }), refused(Code.ResourceExhausted));
    });

    const names: [name: string, greeting: string][] = [
      ["Ada Lovelace", "Ada Lovelace"],
      ["", "ada@example.com"],
      ["Ada\r\nBcc: eve@example.com", "ada@example.com"],
      ["your account is locked: open http://evil.example now", "ada@example.com"],
      ["visit www.evil.example", "ada@example.com"],
      ["evil.example/login", "ada@example.com"],
      ["A".repeat(61), "ada@example.com"],
      ["D'Artagnan-Ångström, 3rd", "D'Artagnan-Ångström, 3rd"],
    ];
    for (const [name, greeting] of names) {
      it(`a stranger's mail greets the name ${JSON.stringify(name.slice(0, 30))} as ${greeting}`, async () => {
        await auth.call("register", { email: "ada@example.com", password: good, name });
        await until(() => auth.mails.length === 1);
        const content = auth.mails[0]?.content;
        assert.equal(content?.case === "template" ? content.value.values.name : undefined, greeting);
      });
    }

    it("succeeds while the notification service is away, and the mail goes out once when it is back", async () => {
      auth.notification.away = true;
      await auth.call("register", { email: "ada@example.com", password: good });
      await until(async () => (await auth.db.query("select 1 from pending_mails where attempts > 0")).length === 1);
      auth.notification.away = false;
      await until(async () => (await auth.db.query("select 1 from pending_mails")).length === 0);
      assert.equal(auth.mails.length, 1);
    });

    it("refuses trivial passwords naming password", async () => {
      for (const password of ["password123", "ada@example.com", "12345678", "aaaaaaaaaa", "Ada Lovelace"]) {
        const call = auth.call("register", { email: "ada@example.com", password, name: "Ada Lovelace" });
        await assert.rejects(call, refusedField("password"));
      }
    });

    it("the mailed token confirms the address, also twice; any other is INVALID_ARGUMENT naming token", async () => {
      const { user } = await signUp(auth);
      await until(() => auth.mails.length === 1);
      const token = mailedToken(auth, 0);
      for (let n = 0; n < 2; n++) assert.equal((await auth.call("verifyEmail", { token })).user?.emailVerified, true);
      await assert.rejects(auth.call("verifyEmail", { token: `${token}x` }), refusedField("token"));
      const log = await auth.audited();
      assert.equal(log.filter((action) => action === "email.verified").length, 1);
      assert.equal((await auth.db.query("select 1 from users where id = $1 and email_verified", [user.id])).length, 1);
    });
  });

  describe("updateMe", () => {
    it("a new address must be confirmed again, and the token sent to the old one is worth nothing", async () => {
      const { token } = await signUp(auth);
      await until(() => auth.mails.length === 1);
      await auth.call("verifyEmail", { token: mailedToken(auth, 0) });
      const change = { user: { email: "new@example.com", name: "ignored" }, updateMask: { paths: ["email"] } };
      const { user } = await auth.call("updateMe", change, { token });
      assert.equal(user?.email, "new@example.com");
      assert.equal(user?.name, "Ada Lovelace");
      assert.equal(user?.emailVerified, false);
      await until(() => auth.mails.length === 2);
      await assert.rejects(auth.call("verifyEmail", { token: mailedToken(auth, 0) }), refusedField("token"));
      assert.equal((await auth.call("verifyEmail", { token: mailedToken(auth, 1) })).user?.emailVerified, true);
    });

    it("lets a user move to five addresses, and then wait: each one gets a mail that its owner may not want", async () => {
      const { token } = await signUp(auth);
      const move = (email: string) =>
        auth.call("updateMe", { user: { email, name: "" }, updateMask: { paths: ["email"] } }, { token });
      for (let n = 0; n < 5; n++) await move(`stranger-${n}@example.com`);
      await assert.rejects(move("stranger-5@example.com"), refused(Code.ResourceExhausted));
      // The name and the letters' case are still free.
      await auth.call("updateMe", { user: { name: "Ada" }, updateMask: { paths: ["name"] } }, { token });
      await move("Stranger-4@example.com");
      auth.clock.offsetMs += 30_000;
      await move("stranger-5@example.com");
      await until(() => auth.mails.length === 7);
    });

    it("refuses a taken address, an empty one, and fields that cannot be changed", async () => {
      const [ada, eve] = [await signUp(auth), await signUp(auth)];
      const update = (user: { email?: string; name?: string }, paths: string[]) =>
        auth.call("updateMe", { user, updateMask: { paths } }, { token: ada.token });
      await assert.rejects(update({ email: eve.user.email.toUpperCase() }, ["email"]), refused(Code.AlreadyExists));
      await assert.rejects(update({ name: "x" }, []), refusedField("user.email"));
      await assert.rejects(update({ name: "x" }, ["roles"]), refusedField("update_mask"));
    });
  });

  it("seed-admin makes a registered user an administrator from the next refresh on, once", async () => {
    const { user, refreshToken } = await signUp(auth, "Ada@example.com");
    await assert.rejects(seedAdmin(auth.db, "eve@example.com", auth.clock.now()), /no user has the address/);
    assert.match(await seedAdmin(auth.db, "ada@EXAMPLE.com", auth.clock.now()), /next sign-in or refresh/);
    assert.match(await seedAdmin(auth.db, "ada@example.com", auth.clock.now()), /already/);
    const { accessToken } = await auth.call("refresh", { refreshToken });
    assert.deepEqual((await auth.verifier.verify(accessToken, auth.clock.now())).roles, ["admin"]);
    assert.equal((await auth.call("getMe", {}, { token: accessToken })).user?.id, user.id);
  });

  it("AUTH_ADMIN_EMAILS makes an administrator only of who confirms the address while signed in as its user", async () => {
    await using own = await startTestAuth({ adminEmails: ["Boss@example.com"] });
    const { token } = await signUp(own, "boss@example.com");
    assert.deepEqual((await own.call("getMe", {}, { token })).user?.roles, []);
    await until(() => own.mails.length === 1);
    assert.deepEqual((await own.call("verifyEmail", { token: mailedToken(own, 0) }, { token })).user?.roles, ["admin"]);
  });

  it("a stranger who registered an address of AUTH_ADMIN_EMAILS gains nothing when its owner opens the link", async () => {
    await using own = await startTestAuth({ adminEmails: ["boss@example.com"] });
    const stranger = await signUp(own, "boss@example.com");
    const other = await signUp(own, "eve@example.com");
    await until(() => own.mails.length === 2);
    const mailed = mailedToken(own, own.mails[0]?.recipient === "boss@example.com" ? 0 : 1);
    // The owner has the mail and no password; whoever else is signed in is not this user.
    assert.deepEqual((await own.call("verifyEmail", { token: mailed })).user?.roles, []);
    assert.deepEqual((await own.call("verifyEmail", { token: mailed }, { token: other.token })).user?.roles, []);
    assert.deepEqual((await own.call("getMe", {}, { token: stranger.token })).user?.roles, []);
    // Whoever has both, the mail and the password, is its owner, also when the link was opened before.
    assert.deepEqual((await own.call("verifyEmail", { token: mailed }, { token: stranger.token })).user?.roles, ["admin"]);
  });
});
