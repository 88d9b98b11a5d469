/** The ledger service: its wiring. */
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { accountHandlers } from "./account-handlers.ts";
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
  start({ config, db, log, meter, scope, clock }) {
    const announce = async () => {};
    const writer = scope.use(startWriter({ db, announce, log, meter, clock, maxBatch: config.maxBatch }));
    scope.use(startExpiry({ db, writer, log, clock, everyMs: config.holdSweepMs }));
    return { implementations: [accountHandlers({ db, writer, clock }), transactionHandlers({ db, writer, clock })] };
  },
});

if (import.meta.main) await runMain(ledger);
