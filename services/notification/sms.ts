/** Text messages over an HTTP provider that takes Twilio's form (Programmable Messaging, Create a Message). */
import { type Channel, type Delivery, failedBy } from "./channel.ts";
import { deliveryOf } from "./http-outcome.ts";
import { post } from "./http-post.ts";

/** The provider and the account with it. */
export interface SmsOptions {
  /** Twilio's base, `https://api.twilio.com`, or with a path of its own the exact URL to post to; undefined: not configured. */
  readonly url: URL | undefined;
  readonly account: string;
  readonly token: string;
  /** The sending number in E.164, or a sender's name. */
  readonly from: string;
  readonly clock: () => number;
}

/** The channel for text messages. */
export function smsChannel({ url, account, token, from, clock }: SmsOptions): Channel {
  const authorization = `Basic ${Buffer.from(`${account}:${token}`).toString("base64")}`;
  return {
    async send({ id, recipient, body }, signal): Promise<Delivery> {
      if (url === undefined) return { ok: false, permanent: true, detail: "SMS_URL is not set" };
      const form = new URLSearchParams({ To: recipient, From: from, Body: body });
      const headers = { authorization, "content-type": "application/x-www-form-urlencoded", "idempotency-key": id };
      try {
        // The operator chose the URL: it may well be a gateway in the own network.
        const target = messagesUrl(url, account);
        const answer = await post({ url: target, headers, body: Buffer.from(form.toString()), signal, allowPrivate: true });
        return deliveryOf(answer, clock());
      } catch (error) {
        return failedBy(error);
      }
    },
  };
}

/** Where messages are posted: Twilio's path on a bare host, else the URL as it is. */
function messagesUrl(url: URL, account: string): URL {
  if (url.pathname !== "/") return url;
  return new URL(`/2010-04-01/Accounts/${encodeURIComponent(account)}/Messages.json`, url);
}
