/** The notification service: its wiring. */
import { join } from "node:path";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { followChanges } from "./changes.ts";
import { emailChannel } from "./email.ts";
import { notificationHandlers } from "./handlers.ts";
import { pushChannel } from "./push.ts";
import { vapidKeys } from "./push-keys.ts";
import { keepSecret } from "./push-store.ts";
import { startSender } from "./sender.ts";
import { settings } from "./settings.ts";
import { smsChannel } from "./sms.ts";
import { newWebhookSecret, webhookChannel } from "./webhook.ts";

/** Stores notifications, sends them by email, SMS, push and webhook, and keeps their history. */
export const notification = defineService({
  name: "notification",
  port: 7002,
  contracts: [NotificationService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, log, meter, dataDir, scope, clock }) {
    const { from, vapidPublicKey, vapidPrivateKey, vapidContact, allowPrivateWebhooks: allowPrivate } = config;
    const vapid = await vapidKeys(db, vapidPublicKey, vapidPrivateKey);
    const secret = config.webhookSecret || (await keepSecret(db, "webhook", newWebhookSecret()));
    const channels = {
      email: emailChannel({ smtpUrl: config.smtpUrl, from, folder: join(dataDir, "mail") }),
      sms: smsChannel({ url: config.smsUrl, account: config.smsAccount, token: config.smsToken, from: config.smsFrom, clock }),
      push: pushChannel({ db, vapid, contact: vapidContact, allowPrivate, clock }),
      webhook: webhookChannel({ secret, allowPrivate, clock }),
    };
    const { maxAttempts, initialMs, factor, maxMs, concurrency } = config;
    const policy = { maxAttempts, initialMs, factor, maxMs };
    const sender = scope.use(startSender({ db, channels, policy, log, meter, clock, concurrency }));
    const changes = scope.use(await followChanges({ db, log, onPending: (channel) => sender.wake(channel) }));
    const keys = { pushPublicKey: vapid.publicKey, webhookSecret: secret };
    return { implementations: [notificationHandlers({ db, changes, clock, allowPrivate, ...keys })] };
  },
});

if (import.meta.main) await runMain(notification);
