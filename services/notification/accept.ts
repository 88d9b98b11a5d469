/**
 * From requests to stored notifications: all of a call in one transaction, each request accepted or refused alone.
 *
 * Refusals are decided before anything is written, so that none of them can spoil the transaction; a failure of the database fails
 * the whole call and leaves nothing.
 */
import { createHash } from "node:crypto";
import type { ConnectError } from "@connectrpc/connect";
import { alreadyExists, from, invalidArgument, notFound } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { ChannelName, NewNotification, Notification, Template } from "./notification.ts";
import { type Accepted, findByRequestIds, insertNotifications } from "./store.ts";
import { render } from "./template.ts";
import { findTemplates } from "./template-store.ts";

/** A request to send, checked as far as the contract goes. */
export interface Draft {
  /** In lower case; undefined when the call is not to be idempotent. */
  readonly requestId: string | undefined;
  readonly userId: string;
  readonly channel: ChannelName;
  readonly recipient: string;
  readonly content:
    | { readonly kind: "text"; readonly subject: string; readonly body: string }
    | { readonly kind: "template"; readonly name: string; readonly values: Readonly<Record<string, string>> };
  /** Milliseconds since the epoch; undefined means 24 hours from now. */
  readonly expireTime: number | undefined;
}

/** What became of a request. */
export type Result = Notification | ConnectError;

/** How long a notification is tried when its request does not say. */
const defaultLifeMs = 24 * 3_600_000;

/**
 * Stores what is not stored yet. The results are in the order of `drafts`; a draft that is an error already stays one.
 *
 * @throws UNAVAILABLE when the database is away; nothing is stored then.
 */
export async function acceptAll(
  db: Database,
  caller: string,
  drafts: readonly (Draft | ConnectError)[],
  now: number,
): Promise<Result[]> {
  const good = drafts.filter((draft) => "channel" in draft);
  if (good.length === 0) return drafts.flatMap((draft) => ("channel" in draft ? [] : draft));
  const requestIds = good.flatMap(({ requestId }) => requestId ?? []);
  const names = good.flatMap(({ content }) => (content.kind === "template" ? content.name : []));
  return db.transaction(async (tx) => {
    const stored = byRequestId(await findByRequestIds(tx, caller, requestIds));
    const templates = new Map((await findTemplates(tx, names)).map((template) => [template.name, template]));
    const decisions = decide(drafts, stored, templates, now);
    const fresh = decisions.filter((decision) => "contentHash" in decision && "shownBody" in decision);
    const inserted = await insertNotifications(tx, caller, fresh);
    // Missing ones were stored by the same request in another call since we looked.
    const missed = fresh.filter(({ id }) => !inserted.has(id)).flatMap(({ requestId }) => requestId ?? []);
    const since = byRequestId(await findByRequestIds(tx, caller, missed));
    return decisions.map((decision) => resultOf(decision, inserted, since));
  });
}

/** A draft's fate: a new notification, one that is stored (by an earlier call, or by an earlier draft of this one), or a refusal. */
type Decision = NewNotification | Accepted | ConnectError;

/** Decides about every draft. Pure but for the new ids. */
function decide(
  drafts: readonly (Draft | ConnectError)[],
  stored: ReadonlyMap<string, Accepted>,
  templates: ReadonlyMap<string, Template>,
  now: number,
): Decision[] {
  const made = new Map<string, NewNotification>();
  return drafts.map((draft) => {
    if (!("channel" in draft)) return draft;
    const contentHash = hashOf(draft);
    const { requestId } = draft;
    const before = requestId === undefined ? undefined : (stored.get(requestId) ?? made.get(requestId));
    if (before !== undefined) return before.contentHash === contentHash ? before : takenRequestId(requestId);
    try {
      const fresh = compose(draft, contentHash, templates, now);
      if (requestId !== undefined) made.set(requestId, fresh);
      return fresh;
    } catch (refusal) {
      return from(refusal);
    }
  });
}

/** @throws INVALID_ARGUMENT or NOT_FOUND when the draft cannot be sent. */
function compose(draft: Draft, contentHash: string, templates: ReadonlyMap<string, Template>, now: number): NewNotification {
  const { requestId, userId, channel, recipient, content } = draft;
  const expireTime = draft.expireTime ?? now + defaultLifeMs;
  if (expireTime <= now) throw invalidArgument([{ field: "expire_time", description: "expected a time in the future" }]);
  const name = content.kind === "template" ? content.name : "";
  const text = textOf(content, templates);
  // A text message and a webhook have no place for a subject.
  const bare = channel === "sms" || channel === "webhook" ? { subject: "", shownSubject: "" } : {};
  const made = {
    id: uuidv7(now),
    requestId,
    contentHash,
    userId,
    channel,
    recipient,
    template: name,
    createTime: now,
    expireTime,
  };
  return { ...made, ...text, ...bare };
}

function textOf(content: Draft["content"], templates: ReadonlyMap<string, Template>) {
  if (content.kind === "text") {
    const { subject, body } = content;
    return { subject, body, shownSubject: subject, shownBody: body };
  }
  const template = templates.get(content.name);
  if (template === undefined) throw notFound("template.name", content.name);
  return render(template, content.values);
}

function resultOf(decision: Decision, inserted: ReadonlySet<string>, since: ReadonlyMap<string, Accepted>): Result {
  if (!("contentHash" in decision)) return decision;
  if ("notification" in decision) return decision.notification;
  if (inserted.has(decision.id)) return asStored(decision);
  const other = decision.requestId === undefined ? undefined : since.get(decision.requestId);
  return other?.contentHash === decision.contentHash ? other.notification : takenRequestId(decision.requestId);
}

function asStored({ shownSubject, shownBody, contentHash, expireTime, requestId, ...made }: NewNotification): Notification {
  const pending = { status: "pending", failureReason: "", attempts: [], sendTime: undefined } as const;
  return { ...made, subject: shownSubject, body: shownBody, ...pending, nextAttemptTime: made.createTime };
}

function takenRequestId(requestId: string | undefined): ConnectError {
  return alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}

/** The fingerprint of what a draft asks for. Values are sorted by name, since a map on the wire has no order. */
function hashOf({ userId, channel, recipient, content, expireTime }: Draft): string {
  const text =
    content.kind === "text"
      ? [content.subject, content.body]
      : [content.name, Object.entries(content.values).sort(([a], [b]) => (a < b ? -1 : 1))];
  return fingerprint([userId, channel, recipient, content.kind, text, expireTime ?? null]);
}

/** SHA-256 in hex of a JSON value. */
export function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function byRequestId(accepted: readonly Accepted[]): ReadonlyMap<string, Accepted> {
  return new Map(accepted.map((one) => [one.requestId, one]));
}
