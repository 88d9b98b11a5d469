/** The queue service: its wiring. */
import { QueueService } from "#gen/queue/v1/queue_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { forgetExpiredKeys } from "./deduplication-store.ts";
import { queueHandlers } from "./handlers.ts";
import { startPeriodic } from "./periodic.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import { openRabbitBackend } from "./rabbit-backend.ts";
import { settings } from "./settings.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** Keeps messages between programs, in PostgreSQL, or in RabbitMQ with AMQP_URL. */
export const queue = defineService({
  name: "queue",
  port: 7008,
  contracts: [QueueService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, log, meter, scope, clock }) {
    const { amqpUrl: url, amqpPrefix: prefix, maxQueues } = config;
    const opening =
      url === undefined ? openPostgresBackend({ db, log, clock }) : openRabbitBackend({ db, url, prefix, log, clock });
    const backend = scope.use(await opening);
    const room = scope.use(new WaitingRoom(500));
    scope.use(backend.onReady((queueId) => room.wake(queueId)));
    scope.use(startPeriodic("forget old deduplication keys", 30_000, () => forgetExpiredKeys(db, clock()), log));
    const checks =
      url === undefined ? [] : [{ name: "rabbitmq", critical: true, check: (signal: AbortSignal) => backend.check(signal) }];
    return { implementations: [queueHandlers({ db, backend, room, clock, meter, maxQueues })], checks };
  },
});

if (import.meta.main) await runMain(queue);
