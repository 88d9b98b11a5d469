/** A message as RabbitMQ keeps it. Pure. */
import type { Message, Options } from "amqplib";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Content, NewMessage } from "./queue.ts";

/** A message that came from the broker. */
export interface Incoming extends Content {
  readonly messageId: string;
  /** Names the copy: a message that is published again under its id is another one. */
  readonly run: string;
  readonly publishTime: number;
  /** Deliveries before it was published to the broker, and one more when the broker says that it was delivered since. */
  readonly deliveries: number;
}

/** What is published again says of itself. */
export interface Again {
  readonly run: string;
  readonly deliveries: number;
}

/** The longest time that RabbitMQ lets a message wait, in milliseconds: 49 days. */
const maxExpirationMs = 2 ** 32 - 1;

/** The properties and body of a message. The body is the JSON text, for programs that read the queue without us. */
export function toRabbit(message: NewMessage, retentionMs: number, ordered: boolean, again?: Again) {
  const { id, data, headers, priority, orderingKey, publishTime } = message;
  const properties: Options.Publish = {
    messageId: id,
    contentType: "application/json",
    timestamp: Math.floor(publishTime / 1000),
    expiration: String(Math.min(retentionMs, maxExpirationMs)),
    headers: {
      // As one text: AMQP's own headers have names of 255 bytes at most, and values of many types.
      "heddle-headers": JSON.stringify(headers),
      "heddle-publish-time": publishTime,
      "heddle-priority": priority,
      ...(orderingKey === "" ? {} : { "heddle-ordering-key": orderingKey }),
      ...(again === undefined ? {} : { "heddle-run": again.run, "heddle-deliveries": again.deliveries }),
    },
    ...(ordered ? {} : { priority }),
  };
  return { content: Buffer.from(data), properties };
}

/** Reads a message; one of another program has what it can have. */
export function fromRabbit({ content, fields, properties }: Message, now: number): Incoming {
  const own = properties.headers ?? {};
  const text = content.toString("utf8");
  const ours = typeof own["heddle-headers"] === "string";
  return {
    messageId: isUuid(properties.messageId) ? properties.messageId.toLowerCase() : uuidv7(now),
    run: String(own["heddle-run"] ?? "0"),
    data: ours || isJson(text) ? text : JSON.stringify(text.toWellFormed()),
    headers: ours ? (JSON.parse(own["heddle-headers"]) as Record<string, string>) : textsOf(own),
    priority: Number(own["heddle-priority"] ?? properties.priority ?? 0),
    orderingKey: String(own["heddle-ordering-key"] ?? ""),
    publishTime: Number(own["heddle-publish-time"] ?? now),
    deliveries: Number(own["heddle-deliveries"] ?? 0) + (fields.redelivered ? 1 : 0),
  };
}

function isUuid(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function textsOf(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
