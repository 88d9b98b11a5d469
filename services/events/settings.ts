/** The environment that the events service reads, beside what every process does. */
import { duration, flag, integer, list, oneOf, type Setting, secret, text } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** `host:port` of some of Kafka's brokers; unset: events go no further than to subscribers. */
  kafkaBrokers: brokers("KAFKA_BROKERS"),
  /** Before each topic's name in Kafka. */
  kafkaPrefix: text("KAFKA_TOPIC_PREFIX", ""),
  kafkaTls: flag("KAFKA_TLS", false),
  /** How to sign in to Kafka; without a user nobody does. */
  kafkaMechanism: oneOf("KAFKA_SASL_MECHANISM", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], "SCRAM-SHA-256"),
  kafkaUser: text("KAFKA_USERNAME", ""),
  kafkaPassword: secret("KAFKA_PASSWORD", ""),
  /** Copies of each partition in topics that the relay makes; -1: as the brokers say. */
  kafkaReplicas: integer("KAFKA_REPLICAS", -1, 100, -1),
  /** How long a publisher waits for Kafka before it is told QUEUED. */
  relayWaitMs: duration("EVENTS_RELAY_WAIT", "250ms"),
  /** What a topic is like that was made by its first event. */
  partitions: integer("EVENTS_PARTITIONS", 1, 256, 4),
  retentionMs: duration("EVENTS_RETENTION", "30d"),
  /** How many topics may be made by a first event. */
  maxTopics: integer("EVENTS_MAX_TOPICS", 1, 10_000, 1000),
  /** Positions per table of the log: what retention drops at once. */
  segment: integer("EVENTS_SEGMENT", 100, 100_000_000, 1_000_000),
};

/** A list of host:port. */
function brokers(variable: string): Setting<readonly string[]> {
  const parse = (value: string) => {
    const found = list(variable).parse(value);
    return found?.every((broker) => /^[^\s:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i.test(broker)) ? found : undefined;
  };
  return { ...list(variable), expected: "host:port, several separated by commas", parse };
}
