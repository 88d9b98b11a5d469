/** The committer of the value chain: its wiring. */
import { CommitterService } from "#gen/value/v1/committer_pb.ts";
import { eventSource } from "#mesh/inbox/event-source.ts";
import { openInbox } from "#mesh/inbox/inbox.ts";
import { inboxRoutes } from "#mesh/inbox/inbox-routes.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { outboxRoutes } from "#mesh/outbox/outbox-routes.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { committerHandlers } from "./handlers.ts";
import { hear, heardTypes } from "./models.ts";
import { settings } from "./settings.ts";

/** Keeps commitments against approved models: contracts, deal terms, approvals and signatures. */
export const valueCommitter = defineService({
  name: "value-committer",
  port: 7016,
  contracts: [CommitterService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ db, mesh, log, meter, scope, clock }) {
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const source = eventSource(mesh, { topic: "value", group: "value-committer", types: heardTypes });
    const inbox = scope.use(await openInbox({ db, source, handle: hear, log, meter, clock }));
    const admin = [...outboxRoutes(outbox), ...inboxRoutes(inbox)];
    return { implementations: [committerHandlers({ db, mesh, outbox, clock })], admin };
  },
});

if (import.meta.main) await runMain(valueCommitter);
