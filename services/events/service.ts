/** The events service: its wiring. */
import { randomUUID } from "node:crypto";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { createAppender } from "./appender.ts";
import { eventHandlers } from "./handlers.ts";
import { createPublisher } from "./publish.ts";
import { startRelay } from "./relay.ts";
import { startRetention } from "./retention.ts";
import { settings } from "./settings.ts";
import { followTail } from "./tail.ts";
import { openTopicBook } from "./topic-book.ts";

/** Keeps events in topics, serves them to subscribers and consumer groups, and relays them to Kafka. */
export const events = defineService({
  name: "events",
  port: 7007,
  contracts: [EventService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, log, meter, scope, clock }) {
    const { partitions, retentionMs, segment, maxTopics, kafkaBrokers: brokers, relayWaitMs: waitMs } = config;
    const access = { openToReaders: false, openToPublishers: false };
    const defaults = { description: "", partitions, retentionMs, retentionBytes: 0, ...access };
    const tail = scope.use(await followTail({ db, log }));
    const topics = scope.use(await openTopicBook({ db, log, clock, defaults, maxTopics }));
    const publisher = createPublisher({ db, topics, appender: createAppender({ db, log, clock, segment }), log, clock });
    scope.use(startRetention({ db, log, clock, relaying: brokers.length > 0 }));
    const subscribers = { count: 0 };
    const gauge = meter.createObservableGauge("events_subscribers", { description: "Subscriptions that are served now" });
    gauge.addCallback((result) => result.observe(subscribers.count));
    const relay =
      brokers.length === 0
        ? undefined
        : scope.use(startRelay({ db, sink: await kafka(), tail, log, meter, clock, owner: randomUUID() }));
    return {
      implementations: [
        eventHandlers({ db, publisher, tail, log, clock, subscribers, relay: relay && { waitMs, failure: relay.failure } }),
      ],
    };

    /** Loaded where it is used: most processes have no Kafka, and need not carry its client. */
    async function kafka() {
      const { kafkaSink } = await import("./kafka.ts");
      const {
        kafkaPrefix: prefix,
        kafkaTls: tls,
        kafkaReplicas: replicas,
        kafkaMechanism: mechanism,
        kafkaUser: username,
      } = config;
      const sasl = username === "" ? {} : { sasl: { mechanism, username, password: config.kafkaPassword } };
      return kafkaSink({ brokers, prefix, tls, replicas, ...sasl });
    }
  },
});

if (import.meta.main) await runMain(events);
