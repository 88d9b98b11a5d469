/** The ledger service: its wiring. */
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { defineService, runMain } from "#mesh/service.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { accountHandlers } from "./account-handlers.ts";
import { eventsOf } from "./announce.ts";
import type { Recorded } from "./batch.ts";
import { startExpiry } from "./expiry.ts";
import { settings } from "./settings.ts";
import { transactionHandlers } from "./transaction-handlers.ts";
import { startWriter } from "./writer.ts";

/** Accounts of people and the money that moves between them, by double entry. */
export const ledger = defineService({
  name: "ledger",
  port: 7003,
  contracts: [AccountService, TransactionService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, mesh, log, meter, scope, clock }) {
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const announce = (tx: Queryable, recorded: readonly Recorded[]) => outbox.putAll(tx, eventsOf(recorded));
    const writer = scope.use(startWriter({ db, announce, log, meter, clock, maxBatch: config.maxBatch }));
    scope.use(startExpiry({ db, writer, log, clock, everyMs: config.holdSweepMs }));
    return { implementations: [accountHandlers({ db, writer, clock }), transactionHandlers({ db, writer, clock })] };
  },
});

if (import.meta.main) await runMain(ledger);
