/** The domain's nouns: a notification, its attempts, templates, push subscriptions. Times are milliseconds since the epoch. */

/** How a notification is sent. */
export type ChannelName = "email" | "sms" | "push" | "webhook";

/** Every channel, in the order of the contract. */
export const channelNames: readonly ChannelName[] = ["email", "sms", "push", "webhook"];

/** How far a notification has come: to be tried, taken by the provider, or given up. */
export type NotificationStatus = "pending" | "sent" | "failed";

/** One attempt to send, as the history keeps it. */
export interface Attempt {
  readonly time: number;
  readonly success: boolean;
  readonly detail: string;
}

/** A notification as its owner sees it: values that its template marks as secret are hidden. */
export interface Notification {
  readonly id: string;
  readonly userId: string;
  readonly channel: ChannelName;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  /** The name of the template it was made from; empty for a text. */
  readonly template: string;
  readonly status: NotificationStatus;
  /** Empty unless status is failed. */
  readonly failureReason: string;
  readonly attempts: readonly Attempt[];
  readonly createTime: number;
  readonly sendTime: number | undefined;
  readonly nextAttemptTime: number | undefined;
}

/** A notification on its way into the store: what is sent, and what is shown of it. */
export interface NewNotification {
  readonly id: string;
  readonly requestId: string | undefined;
  readonly contentHash: string;
  readonly userId: string;
  readonly channel: ChannelName;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly shownSubject: string;
  readonly shownBody: string;
  readonly template: string;
  readonly createTime: number;
  readonly expireTime: number;
}

/** The writable part of a template. */
export interface TemplateText {
  readonly subject: string;
  readonly body: string;
  /** The names of values that are secrets. */
  readonly secretValues: readonly string[];
}

/** A stored template. */
export interface Template extends TemplateText {
  readonly name: string;
  readonly builtIn: boolean;
  readonly createTime: number;
  readonly updateTime: number;
}

/** A browser that takes pushes: what PushSubscription.toJSON() gives, and our id for it. */
export interface PushSubscription {
  readonly id: string;
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
}
