/** The environment that the queue service reads, beside what every process does. */
import { integer, optionalUrl, text } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** A RabbitMQ to keep the messages in: amqp://user:password@host:5672/vhost, amqps://... for TLS. Unset: PostgreSQL keeps them. */
  amqpUrl: optionalUrl("AMQP_URL", "amqp:", "amqps:"),
  /** What the names of our queues and exchanges begin with, so that several platforms can share a broker. */
  amqpPrefix: text("QUEUE_AMQP_PREFIX", "heddle."),
  /** How many queues one user may own; administrators and services have no limit. */
  maxQueues: integer("QUEUE_MAX_QUEUES", 1, 1_000_000, 100),
};
