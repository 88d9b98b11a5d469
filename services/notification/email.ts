/** Email: over SMTP, or into a folder of .eml files where there is no SMTP server to send to. */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTransport, type SendMailOptions } from "nodemailer";
import { type Channel, type Delivery, detailOf, failedBy, type OutgoingMessage } from "./channel.ts";

/** How mail goes out. */
export interface EmailOptions {
  /** smtp: or smtps: with user and password in it; undefined: .eml files in `folder`. */
  readonly smtpUrl: URL | undefined;
  /** The sender, `name <address>` or an address. */
  readonly from: string;
  /** Where .eml files go. */
  readonly folder: string;
}

/** The channel for email. */
export function emailChannel({ smtpUrl, from, folder }: EmailOptions): Channel {
  return smtpUrl === undefined ? mailFolder(from, folder) : smtp(from, smtpUrl);
}

/** Over SMTP, one connection per message. RFC 5321: 5yz is permanent (but 503, a session out of step), 4yz is not. */
function smtp(from: string, url: URL): Channel {
  const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 20_000, dnsTimeout: 10_000 };
  const transport = createTransport({ url: url.href, ...timeouts });
  return {
    async send(message, signal): Promise<Delivery> {
      try {
        const { response } = await transport.sendMail({ ...mailOf(message, from), signal });
        return { ok: true, detail: detailOf(response) };
      } catch (error) {
        const permanent = error instanceof Error && "permanent" in error && error.permanent === true;
        return { ...failedBy(error), ok: false, permanent };
      }
    },
  };
}

/** Into a folder. The name begins with the time, and an attempt that is repeated writes the same file again. */
function mailFolder(from: string, folder: string): Channel {
  const composer = createTransport({ streamTransport: true, buffer: true, newline: "windows" });
  return {
    async send(message): Promise<Delivery> {
      try {
        const composed = await composer.sendMail(mailOf(message, from));
        const name = `${new Date(message.createTime).toISOString().replaceAll(":", "-")}-${message.id}.eml`;
        await mkdir(folder, { recursive: true, mode: 0o700 });
        // Whole or not at all: a reader never finds half a mail. Only the owner may read it: mails carry sign-in links.
        const unfinished = join(folder, `.${name}.${process.pid}.part`);
        try {
          await writeFile(unfinished, composed.message as Buffer, { mode: 0o600, flush: true });
          await rename(unfinished, join(folder, name));
        } finally {
          await rm(unfinished, { force: true });
        }
        return { ok: true, detail: `written to ${name}` };
      } catch (error) {
        return failedBy(error);
      }
    },
  };
}

function mailOf(message: OutgoingMessage, from: string): SendMailOptions {
  return {
    from,
    // As parts, never as text: an address with a comma or a line break in it must not become two.
    to: { name: "", address: message.recipient },
    subject: message.subject,
    text: message.body,
    // The same in every attempt, so that mailboxes drop the second copy.
    messageId: `<${message.id}@${domainOf(from)}>`,
    date: new Date(message.createTime),
    // RFC 3834: no out-of-office answers.
    headers: { "Auto-Submitted": "auto-generated" },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** The domain of an address, `name <user@domain>` or `user@domain`. */
function domainOf(from: string): string {
  return /@([^\s@<>]+?)>?\s*$/.exec(from)?.[1] ?? "localhost";
}
