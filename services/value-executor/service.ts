/** The executor of the value chain: its wiring. */
import { ExecutorService } from "#gen/value/v1/executor_pb.ts";
import { eventSource } from "#mesh/inbox/event-source.ts";
import { openInbox } from "#mesh/inbox/inbox.ts";
import { inboxRoutes } from "#mesh/inbox/inbox-routes.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { outboxRoutes } from "#mesh/outbox/outbox-routes.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { executorHandlers } from "./handlers.ts";
import { settings } from "./settings.ts";
import { heardTypes, hearSignatures } from "./signatures.ts";

/** Follows the delivery of signed commitments: milestones, progress and slippage. */
export const valueExecutor = defineService({
  name: "value-executor",
  port: 7017,
  contracts: [ExecutorService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ db, mesh, log, meter, scope, clock }) {
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const source = eventSource(mesh, { topic: "value", group: "value-executor", types: heardTypes });
    const handle = hearSignatures(outbox, clock);
    const inbox = scope.use(await openInbox({ db, source, handle, log, meter, clock }));
    const admin = [...outboxRoutes(outbox), ...inboxRoutes(inbox)];
    return { implementations: [executorHandlers({ db, outbox, clock })], admin };
  },
});

if (import.meta.main) await runMain(valueExecutor);
