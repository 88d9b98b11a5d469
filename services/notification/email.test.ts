import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OutgoingMessage } from "./channel.ts";
import { emailChannel } from "./email.ts";
import { startSmtp } from "./smtp-server.fixture.ts";

const message: OutgoingMessage = {
  id: "0190a0b0-0000-7000-8000-000000000001",
  userId: "0190a0b0-0000-7000-8000-00000000000a",
  recipient: "ann@example.com",
  subject: "Grüße",
  body: "one\n.two\n",
  createTime: Date.parse("2026-05-04T10:00:00.123Z"),
};
const from = "Heddle <no-reply@example.org>";
const ever = () => new AbortController().signal;
const smtp = (smtpUrl: URL) => emailChannel({ smtpUrl, from, folder: "/nowhere" });

describe("email over SMTP", () => {
  it("hands over envelope and message, and answers with the server's words", async () => {
    await using server = await startSmtp();
    assert.deepEqual(await smtp(server.url).send(message, ever()), { ok: true, detail: "250 2.0.0 queued" });
    const [mail] = server.mails;
    assert.equal(server.mails.length, 1);
    assert.equal(mail?.from, "no-reply@example.org");
    assert.deepEqual(mail?.to, ["ann@example.com"]);
    const [headers = "", body = ""] = mail?.message.split("\r\n\r\n") ?? [];
    assert.match(headers, /^From: Heddle <no-reply@example\.org>$/m);
    assert.match(headers, /^To: ann@example\.com$/m);
    assert.match(headers, /^Subject: =\?UTF-8\?Q\?Gr=C3=BC=C3=9Fe\?=$/m);
    assert.match(headers, /^Message-ID: <0190a0b0-0000-7000-8000-000000000001@example\.org>$/m);
    assert.match(headers, /^Date: Mon, 04 May 2026 10:00:00 \+0000$/m);
    assert.match(headers, /^Auto-Submitted: auto-generated$/m);
    assert.match(headers, /^Content-Type: text\/plain; charset=utf-8$/m);
    assert.equal(body, "one\r\n.two");
  });

  it("sends the second attempt with the Message-ID of the first", async () => {
    await using server = await startSmtp();
    await smtp(server.url).send(message, ever());
    await smtp(server.url).send(message, ever());
    const ids = server.mails.map((mail) => /^Message-ID: .*$/m.exec(mail.message)?.[0]);
    assert.deepEqual(ids, Array(2).fill("Message-ID: <0190a0b0-0000-7000-8000-000000000001@example.org>"));
  });

  for (const [field, value] of [
    ["subject", "Hi\r\nBcc: eve@example.com"],
    ["subject", "Hi\nBcc: eve@example.com\n\nbody"],
    ["recipient", "ann@example.com\r\nBcc: eve@example.com"],
    ["recipient", "ann@example.com, eve@example.com"],
    ["recipient", "ann@example.com> RCPT TO:<eve@example.com"],
  ] as const) {
    it(`adds neither header nor recipient for a ${field} of ${JSON.stringify(value)}`, async () => {
      await using server = await startSmtp();
      await smtp(server.url).send({ ...message, [field]: value }, ever());
      for (const mail of server.mails) {
        assert.equal(mail.to.length, 1);
        assert.notEqual(mail.to[0], "eve@example.com");
        const headers = mail.message.split("\r\n\r\n")[0] ?? "";
        assert.doesNotMatch(headers, /^Bcc:/im);
      }
    });
  }

  for (const [command, reply, permanent] of [
    ["RCPT", "550 5.1.1 no such user", true],
    ["RCPT", "450 4.2.1 mailbox busy", false],
    [".", "554 5.7.1 spam", true],
    [".", "451 4.3.0 try later", false],
    ["MAIL", "452 4.3.1 storage full", false],
    ["greeting", "421 4.3.2 closing", false],
    ["greeting", "554 5.7.1 go away", true],
  ] as const) {
    it(`takes ${JSON.stringify(reply)} to ${command} for a failure ${permanent ? "for good" : "that may heal"}`, async () => {
      await using server = await startSmtp({ [command]: reply });
      const delivery = await smtp(server.url).send(message, ever());
      assert.deepEqual(
        { ok: delivery.ok, ...("permanent" in delivery ? { permanent: delivery.permanent } : {}) },
        { ok: false, permanent },
      );
      assert.ok(delivery.detail.includes(reply.slice(0, 3)), delivery.detail);
    });
  }

  it("takes a refused connection for a failure that may heal", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const delivery = await smtp(new URL(`smtp://127.0.0.1:${port}`)).send(message, ever());
    assert.deepEqual(delivery, { ok: false, permanent: false, detail: `connect ECONNREFUSED 127.0.0.1:${port}` });
  });

  it("ends at once when the signal aborts while the server is silent", async () => {
    await using server = await startSmtp({ ".": null });
    const cut = new AbortController();
    const sending = smtp(server.url).send(message, cut.signal);
    setTimeout(() => cut.abort(), 50);
    const delivery = await sending;
    assert.equal(delivery.ok, false);
  });
});

describe("email into a folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "heddle-mail-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("writes one whole .eml, named by time and id, that only the owner may read", async () => {
    const mail = join(folder, "mail");
    const channel = emailChannel({ smtpUrl: undefined, from, folder: mail });
    const name = "2026-05-04T10-00-00.123Z-0190a0b0-0000-7000-8000-000000000001.eml";
    assert.deepEqual(await channel.send(message, ever()), { ok: true, detail: `written to ${name}` });
    assert.deepEqual(await channel.send(message, ever()), { ok: true, detail: `written to ${name}` });
    assert.deepEqual(await readdir(mail), [name]);
    assert.equal((await stat(join(mail, name))).mode & 0o777, 0o600);
    const text = await readFile(join(mail, name), "utf8");
    assert.match(text, /^Message-ID: <0190a0b0-0000-7000-8000-000000000001@example\.org>\r$/m);
    assert.ok(text.endsWith("\r\n\r\none\r\n.two\r\n"), JSON.stringify(text.slice(-30)));
  });

  it("takes a folder that is a file for a failure that may heal, and leaves no part behind", async () => {
    await writeFile(join(folder, "mail"), "");
    const delivery = await emailChannel({ smtpUrl: undefined, from, folder: join(folder, "mail") }).send(message, ever());
    assert.equal(delivery.ok, false);
    assert.match(delivery.detail, /EEXIST|ENOTDIR/);
    assert.deepEqual(await readdir(folder), ["mail"]);
  });
});
