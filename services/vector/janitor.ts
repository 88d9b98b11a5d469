/** Forgets items that were removed a while ago. */
import type { Logger } from "pino";
import type { Database } from "#mesh/storage/database.ts";
import { purge } from "./item-store.ts";

/** How long an index may be away and still hear of a removal, in milliseconds: a week. */
const keepMs = 7 * 86_400_000;
const everyMs = 3_600_000;

/** Begins to clean up, once an hour. */
export function startJanitor(o: { db: Database; log: Logger; clock: () => number }): Disposable {
  const clean = () =>
    purge(o.db, o.clock() - keepMs).then(
      (items) => items > 0 && o.log.info({ items }, "forgot items that were removed"),
      (err: unknown) => o.log.debug({ err }, "cannot clean up now"),
    );
  const timer = setInterval(clean, everyMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
