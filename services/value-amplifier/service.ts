/** The amplifier of the value chain: its wiring. */
import { AmplifierService } from "#gen/value/v1/amplifier_pb.ts";
import { eventSource } from "#mesh/inbox/event-source.ts";
import { openInbox } from "#mesh/inbox/inbox.ts";
import { inboxRoutes } from "#mesh/inbox/inbox-routes.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { outboxRoutes } from "#mesh/outbox/outbox-routes.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { hear, heardTypes } from "./chain.ts";
import { followModels } from "./feed.ts";
import { amplifierHandlers } from "./handlers.ts";
import { settings } from "./settings.ts";

/** Holds what was realised against the hypotheses, ranks what would bring more, and shows each model's whole way. */
export const valueAmplifier = defineService({
  name: "value-amplifier",
  port: 7018,
  contracts: [AmplifierService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ db, mesh, log, meter, scope, clock }) {
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const source = eventSource(mesh, { topic: "value", group: "value-amplifier", types: heardTypes });
    const inbox = scope.use(await openInbox({ db, source, handle: hear, log, meter, clock }));
    const feed = scope.use(await followModels(db, log));
    const admin = [...outboxRoutes(outbox), ...inboxRoutes(inbox)];
    return { implementations: [amplifierHandlers({ db, outbox, feed, clock })], admin };
  },
});

if (import.meta.main) await runMain(valueAmplifier);
