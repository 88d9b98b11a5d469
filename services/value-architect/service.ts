/** The architect of the value chain: its wiring. */
import { ArchitectService } from "#gen/value/v1/architect_pb.ts";
import { eventSource } from "#mesh/inbox/event-source.ts";
import { openInbox } from "#mesh/inbox/inbox.ts";
import { inboxRoutes } from "#mesh/inbox/inbox-routes.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { outboxRoutes } from "#mesh/outbox/outbox-routes.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { hear, heardTypes } from "./findings.ts";
import { architectHandlers } from "./handlers.ts";
import { settings } from "./settings.ts";

/** Keeps value models and their hypotheses, from draft to approval, and what was measured of them. */
export const valueArchitect = defineService({
  name: "value-architect",
  port: 7015,
  contracts: [ArchitectService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ db, mesh, log, meter, scope, clock }) {
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const source = eventSource(mesh, { topic: "value", group: "value-architect", types: heardTypes });
    const inbox = scope.use(await openInbox({ db, source, handle: hear, log, meter, clock }));
    const admin = [...outboxRoutes(outbox), ...inboxRoutes(inbox)];
    return { implementations: [architectHandlers({ db, mesh, outbox, clock })], admin };
  },
});

if (import.meta.main) await runMain(valueArchitect);
