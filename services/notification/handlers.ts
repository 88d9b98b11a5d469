/** The contract's methods: messages to domain values, rules, store, and back. */
import { create, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { anyPack, type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { Channel, type NotificationSchema, Status, type TemplateSchema } from "#gen/notification/v1/message_pb.ts";
import { NotificationService, type SendRequest, SendRequestSchema } from "#gen/notification/v1/notification_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { alreadyExists, from, internal, invalidArgument, notFound, notYours } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { Validation } from "#mesh/server/validation.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { acceptAll, type Draft, fingerprint } from "./accept.ts";
import type { Changes } from "./changes.ts";
import type { ChannelName, Notification, NotificationStatus, Template, TemplateText } from "./notification.ts";
import { callerKey, callingUser, mayActFor, ownerOf, type Who } from "./ownership.ts";
import { subscriptionMistakes } from "./push-keys.ts";
import { putSubscription, removeSubscription, trimSubscriptions } from "./push-store.ts";
import { getNotification, listNotifications } from "./store.ts";
import * as templates from "./template-store.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly db: Database;
  readonly changes: Changes;
  readonly clock: () => number;
  readonly pushPublicKey: string;
  readonly webhookSecret: string;
  /** Whether push endpoints may be http. */
  readonly allowPrivate: boolean;
}

/** How many browsers a user may have subscribed; the oldest go first. */
const maxSubscriptions = 50;

/** The contract and its methods. */
export function notificationHandlers({
  db,
  changes,
  clock,
  pushPublicKey,
  webhookSecret,
  allowPrivate,
}: HandlerParts): Implementation {
  return implement(NotificationService, {
    async send(request) {
      const who = currentWho();
      const [result] = await acceptAll(db, callerKey(who), [draftOf(request, who)], clock());
      if (result === undefined) throw internal(new Error("a request without a result"));
      if (result instanceof ConnectError) throw result;
      return { notification: toMessage(result) };
    },

    async sendBatch({ requests }) {
      const who = currentWho();
      const drafts = requests.map((request) => refusalOr(() => draftOf(checked(request), who)));
      const results = (await acceptAll(db, callerKey(who), drafts, clock())).map((result) =>
        result instanceof ConnectError
          ? ({ result: { case: "error", value: toStatus(result) } } as const)
          : ({ result: { case: "notification", value: toMessage(result) } } as const),
      );
      const failed = results.filter(({ result }) => result.case === "error").length;
      return { results, failed, succeeded: results.length - failed };
    },

    async getNotification({ notificationId }) {
      const notification = await getNotification(db, notificationId);
      if (notification === undefined) throw notFound("notification", notificationId);
      if (!mayActFor(currentWho(), notification.userId)) throw notYours("notification", notificationId);
      return { notification: toMessage(notification) };
    },

    async listNotifications({ userId, pageSize, pageToken, channel, status }) {
      const { items, more } = await listNotifications(db, {
        userId: ownerOf(currentWho(), userId),
        size: pageSize || defaultPageSize,
        after: decodePageToken(pageToken),
        channel: channelNameOf[channel],
        status: statusNameOf[status],
      });
      const last = items.at(-1);
      const nextPageToken = more && last !== undefined ? encodePageToken([last.createTime, last.id]) : "";
      return { notifications: items.map(toMessage), nextPageToken };
    },

    watchNotifications({ userId }, { signal }) {
      // No generator: the context of the call is here now, and the watch begins now.
      return changes.watch(ownerOf(currentWho(), userId), signal, (after) => ({ notification: toMessage(after) }));
    },

    async createTemplate({ requestId, template }) {
      const { name, text } = textOf(template);
      const by = { caller: callerKey(currentWho()), requestId: lowered(requestId), contentHash: fingerprint([name, text]) };
      return db.transaction(async (tx) => {
        const made = await templates.insertTemplate(tx, name, text, by, clock());
        const before =
          made || by.requestId === undefined ? undefined : await templates.templateOfRequest(tx, by.caller, by.requestId);
        if (before !== undefined) {
          if (before.contentHash === by.contentHash) return { template: toTemplate(before.template) };
          throw alreadyExists(`request_id ${JSON.stringify(requestId)} came before with another template`);
        }
        if (!made) throw alreadyExists(`template ${JSON.stringify(name)} exists`);
        return { template: toTemplate(await existing(tx, name)) };
      });
    },

    async getTemplate({ name }) {
      return { template: toTemplate(await existing(db, name)) };
    },

    async listTemplates({ pageSize, pageToken }) {
      const after = decodePageToken(pageToken);
      if (after !== undefined && after.length !== 1) throw badPageToken();
      const size = pageSize || defaultPageSize;
      const found = await templates.listTemplates(db, size + 1, after?.[0]);
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.name]) : "";
      return { templates: page.map(toTemplate), nextPageToken };
    },

    async updateTemplate({ template, updateMask }) {
      const { name, text } = textOf(template);
      const changed = await templates.updateTemplate(db, name, masked(text, updateMask?.paths ?? []), clock());
      if (changed === undefined) throw notFound("template", name);
      return { template: toTemplate(changed) };
    },

    async deleteTemplate({ name }) {
      const found = await db.transaction((tx) => templates.resetTemplate(tx, name, clock()));
      if (!found) throw notFound("template", name);
      return {};
    },

    getWebhookSecret: () => ({ secret: webhookSecret }),

    getPushKey: () => ({ publicKey: pushPublicKey }),

    async subscribe({ endpoint, keys }) {
      const userId = callingUser(currentWho());
      const { p256dh = "", auth = "" } = keys ?? {};
      const mistakes = subscriptionMistakes(endpoint, p256dh, auth, allowPrivate);
      if (mistakes.length > 0) throw invalidArgument(mistakes);
      const subscriptionId = await db.transaction(async (tx) => {
        const id = await putSubscription(tx, userId, { id: uuidv7(clock()), endpoint, p256dh, auth }, clock());
        await trimSubscriptions(tx, userId, maxSubscriptions);
        return id;
      });
      return { subscriptionId };
    },

    async unsubscribe({ subscriptionId }) {
      const found = await removeSubscription(db, subscriptionId, callingUser(currentWho()));
      if (!found) throw notFound("push subscription", subscriptionId);
      return {};
    },
  });

  async function existing(q: Parameters<typeof templates.findTemplates>[0], name: string): Promise<Template> {
    const [template] = await templates.findTemplates(q, [name]);
    if (template === undefined) throw notFound("template", name);
    return template;
  }
}

/** Our name of each channel of the contract; what is unspecified or unknown has none. */
export const channelNameOf: Readonly<Record<number, ChannelName>> = {
  [Channel.EMAIL]: "email",
  [Channel.SMS]: "sms",
  [Channel.PUSH]: "push",
  [Channel.WEBHOOK]: "webhook",
};
const channelOf = { email: Channel.EMAIL, sms: Channel.SMS, push: Channel.PUSH, webhook: Channel.WEBHOOK };
/** Our name of each status of the contract; what is unspecified or unknown has none. */
export const statusNameOf: Readonly<Record<number, NotificationStatus>> = {
  [Status.PENDING]: "pending",
  [Status.SENT]: "sent",
  [Status.FAILED]: "failed",
};
const statusOf = { pending: Status.PENDING, sent: Status.SENT, failed: Status.FAILED };

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

function lowered(id: string): string | undefined {
  return id === "" ? undefined : id.toLowerCase();
}

/** @throws INVALID_ARGUMENT or PERMISSION_DENIED. */
function draftOf({ requestId, userId, channel, recipient, content, expireTime }: SendRequest, who: Who): Draft {
  const name = channelNameOf[channel];
  if (name === undefined) throw mistake("channel", "expected a channel");
  return {
    requestId: lowered(requestId),
    userId: ownerOf(who, userId),
    channel: name,
    recipient,
    content: contentOf(content),
    expireTime: expireTime === undefined ? undefined : millisecondsOf("expire_time", expireTime),
  };
}

/** JSON can carry half a surrogate pair; it becomes U+FFFD here, since it could be neither stored nor sent. */
function contentOf(content: SendRequest["content"]): Draft["content"] {
  if (content.case === "text") {
    const { subject, body } = content.value;
    return { kind: "text", subject: subject.toWellFormed(), body: body.toWellFormed() };
  }
  if (content.case === undefined) throw mistake("content", "expected text or template");
  const { name, values } = content.value;
  const entries = Object.entries(values).map(([key, value]) => [key, value.toWellFormed()]);
  return { kind: "template", name, values: Object.fromEntries(entries) };
}

const validation = new Validation();

/** One request of a batch, held to the rules that Send is held to before it gets here. */
function checked(request: SendRequest): SendRequest {
  return validation.checked(SendRequestSchema, request);
}

function refusalOr<T>(work: () => T): T | ConnectError {
  try {
    return work();
  } catch (refusal) {
    return from(refusal);
  }
}

function mistake(field: string, description: string): ConnectError {
  return invalidArgument([{ field, description }]);
}

function toStatus({ code, rawMessage, details }: ConnectError): MessageInitShape<typeof StatusSchema> {
  // Our own constructors make details of this form; those that came over the wire are none of ours.
  const own = details.flatMap((detail) => ("desc" in detail ? anyPack(detail.desc, create(detail.desc, detail.value)) : []));
  return { code, message: rawMessage, details: own };
}

function toMessage(notification: Notification): MessageInitShape<typeof NotificationSchema> {
  const { channel, status, attempts, createTime, sendTime, nextAttemptTime, ...same } = notification;
  return {
    ...same,
    channel: channelOf[channel],
    status: statusOf[status],
    attempts: attempts.map(({ time, success, detail }) => ({ time: timestampFromMs(time), success, detail })),
    createTime: timestampFromMs(createTime),
    ...(sendTime === undefined ? {} : { sendTime: timestampFromMs(sendTime) }),
    ...(nextAttemptTime === undefined ? {} : { nextAttemptTime: timestampFromMs(nextAttemptTime) }),
  };
}

function toTemplate({ createTime, updateTime, secretValues, ...same }: Template): MessageInitShape<typeof TemplateSchema> {
  const times = { createTime: timestampFromMs(createTime), updateTime: timestampFromMs(updateTime) };
  return { ...same, secretValues: [...secretValues], ...times };
}

function textOf(template: MessageShape<typeof TemplateSchema> | undefined): { name: string; text: TemplateText } {
  if (template === undefined) throw mistake("template", "expected a template");
  const { name, subject, body, secretValues } = template;
  return { name, text: { subject: subject.toWellFormed(), body: body.toWellFormed(), secretValues } };
}

/** The parts of `text` that an update mask names. */
function masked(text: TemplateText, paths: readonly string[]): Partial<TemplateText> {
  if (paths.length === 0 || paths.includes("*")) return text;
  const unknown = paths.find((path) => !templatePaths.has(path));
  if (unknown !== undefined) throw mistake("update_mask", `expected fields of a template, got ${JSON.stringify(unknown)}`);
  return {
    ...(paths.includes("subject") ? { subject: text.subject } : {}),
    ...(paths.includes("body") ? { body: text.body } : {}),
    ...(paths.includes("secret_values") ? { secretValues: text.secretValues } : {}),
  };
}

/** The name says which template; times and built_in are the service's (AIP-203: output only, and left out of account). */
const templatePaths = new Set(["name", "subject", "body", "secret_values", "built_in", "create_time", "update_time"]);

/** @throws INVALID_ARGUMENT outside the years 1 to 9999, which google.protobuf.Timestamp allows. */
function millisecondsOf(field: string, time: Timestamp): number {
  const good = time.seconds >= -62_135_596_800n && time.seconds <= 253_402_300_799n && time.nanos >= 0 && time.nanos < 1e9;
  if (!good) throw mistake(field, "expected a time between the years 1 and 9999");
  return timestampMs(time);
}
