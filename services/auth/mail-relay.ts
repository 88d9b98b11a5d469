/** Hands mails over to the notification service: stored with what causes them, sent when that service is there. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import { Channel } from "#gen/notification/v1/message_pb.ts";
import type { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { claimMails, deleteMail, insertMail, nextMailTime, type PendingMail, postponeMail } from "./mail-store.ts";
import type { SecretBox } from "./secret-box.ts";

/** A mail by template. */
export interface Mail {
  readonly userId: string;
  readonly recipient: string;
  readonly template: string;
  readonly values: Readonly<Record<string, string>>;
  /** When it is of no use any more, in ms since the epoch. */
  readonly expireTime: number;
}

/** What the relay works with. */
export interface MailRelayOptions {
  readonly db: Database;
  readonly box: SecretBox;
  readonly notification: Pick<Client<typeof NotificationService>, "send">;
  readonly log: Logger;
  readonly clock: () => number;
}

/** Nobody else takes a mail that was taken within so many milliseconds. */
const leaseMs = 30_000;
/** One handover may take so many milliseconds. */
const sendMs = 10_000;
/** The longest pause between two looks, in milliseconds: another instance may have died with a mail in its hands. */
const idleMs = 30_000;

/** One loop that sends what is due. Each mail goes out at least once, and its id makes that exactly once. */
export class MailRelay {
  readonly #options: MailRelayOptions;
  readonly #closing = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: MailRelayOptions) {
    this.#options = options;
  }

  /** Stores a mail, in the transaction of what causes it. Call `wake` after the commit. */
  async enqueue(tx: Queryable, mail: Mail): Promise<void> {
    const { box, clock } = this.#options;
    const id = uuidv7(clock());
    const { userId, recipient, template, expireTime } = mail;
    const contents = box.seal("mail", id, JSON.stringify(mail.values));
    await insertMail(tx, { id, userId, recipient, template, contents }, clock(), expireTime);
  }

  /** Something may be due. */
  wake(): void {
    this.#wake.abort();
  }

  /** Sends until `scope` ends. */
  start(scope: AsyncDisposableStack): void {
    this.#running = this.#run();
    scope.defer(async () => {
      this.#closing.abort();
      this.#wake.abort();
      await this.#running;
    });
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    while (!this.#closing.signal.aborted) {
      this.#wake = new AbortController();
      const { signal } = this.#wake;
      let pauseMs = idleMs;
      try {
        pauseMs = await this.#sendDue();
      } catch (err) {
        log.warn({ err }, "cannot read the mails that wait");
        pauseMs = 1000;
      }
      if (this.#closing.signal.aborted) return;
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Milliseconds until there is something to do again. */
  async #sendDue(): Promise<number> {
    const { db, clock } = this.#options;
    const now = clock();
    const mails = await claimMails(db, now, now + leaseMs, 20);
    await Promise.all(mails.map((mail) => this.#send(mail)));
    const next = await nextMailTime(db);
    return next === undefined ? idleMs : Math.min(idleMs, Math.max(0, next - clock()));
  }

  async #send(mail: PendingMail): Promise<void> {
    const { db, box, notification, log, clock } = this.#options;
    const { id, userId, recipient, template } = mail;
    try {
      const values: Record<string, string> = JSON.parse(box.open("mail", id, mail.contents));
      const request = {
        requestId: id,
        userId,
        recipient,
        channel: Channel.EMAIL,
        content: { case: "template" as const, value: { name: template, values } },
      };
      await notification.send(request, { timeoutMs: sendMs, signal: this.#closing.signal });
      await deleteMail(db, id);
    } catch (err) {
      const pauseMs = backoffMs(mail.attempts);
      log.warn({ err, mail: id, template, attempt: mail.attempts, pauseMs }, "the notification service did not take a mail");
      await postponeMail(db, id, clock() + pauseMs);
    }
  }
}

/** Milliseconds to wait after the n-th attempt: 0.5 s, doubling to 5 min, +-20 %. */
function backoffMs(attempts: number): number {
  return Math.min(300_000, 500 * 2 ** Math.min(attempts - 1, 20)) * (0.8 + 0.4 * Math.random());
}
