/** The payment service: its wiring. */
import { PaymentService } from "#gen/payment/v1/payment_pb.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { outboxRoutes } from "#mesh/outbox/outbox-routes.ts";
import { startSagas } from "#mesh/saga/saga.ts";
import { sagaRoutes } from "#mesh/saga/saga-routes.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { startExpiry } from "./expiry.ts";
import { followPayments } from "./feed.ts";
import { paymentHandlers } from "./handlers.ts";
import { httpProvider } from "./http-provider.ts";
import { ledgerMoney } from "./money.ts";
import { noteOf, tellOf } from "./note.ts";
import { paymentSagas } from "./payment-sagas.ts";
import { settings } from "./settings.ts";
import { simulatedAcquirer } from "./simulated-acquirer.ts";

/** Makes payments: reserves money in the ledger, charges cards, settles, and undoes all of it when one part cannot be done. */
export const payment = defineService({
  name: "payment",
  port: 7004,
  contracts: [PaymentService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, mesh, log, meter, scope, clock }) {
    const { providerUrl: url, providerKey: apiKey, simulatedLatenessMs: latenessMs, providerTimeoutMs, authorizationMs } = config;
    const provider = url === undefined ? simulatedAcquirer({ db, clock, latenessMs }) : httpProvider({ url, apiKey });
    const limits = {
      maxAmount: config.riskMaxAmount,
      maxPayments: config.riskMaxPayments,
      maxDailyAmount: config.riskMaxDailyAmount,
      maxDeclines: config.riskMaxDeclines,
    };
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const note = noteOf(outbox, clock);
    const parts = { db, mesh, money: ledgerMoney(mesh), provider, limits, providerTimeoutMs };
    const definitions = paymentSagas(parts).map((saga) => ({ ...saga, onChange: tellOf(note, clock) }));
    const sagas = scope.use(await startSagas({ db, definitions, log, meter, clock }));
    const feed = scope.use(await followPayments(db, log));
    scope.use(startExpiry({ db, sagas, note, clock, log, everyMs: 10_000 }));
    const admin = [...sagaRoutes(sagas), ...outboxRoutes(outbox)];
    return { implementations: [paymentHandlers({ db, sagas, mesh, feed, note, clock, authorizationMs })], admin };
  },
});

if (import.meta.main) await runMain(payment);
