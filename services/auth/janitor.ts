/** Removes what nobody needs any more, once an hour. */
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { sweepAttempts } from "./attempt-store.ts";
import { sweepAuditEvents } from "./audit-store.ts";
import { sweepMails } from "./mail-store.ts";
import { sweepSessions } from "./session-store.ts";
import { sweepEmailTokens } from "./user-store.ts";

/** How long things are kept, in milliseconds. */
export interface Retention {
  /** Failed attempts: as long as they count. */
  readonly attemptsMs: number;
  readonly auditMs: number;
}

/** Ended sessions stay so long, in milliseconds, so that a used refresh token that turns up again is known for what it is. */
const endedSessionsMs = 7 * 86_400_000;
const everyMs = 3_600_000;

/** Sweeps every hour until `scope` ends. Instances may do so at the same time. */
export function startJanitor(
  db: Database,
  retention: Retention,
  log: Logger,
  clock: () => number,
  scope: AsyncDisposableStack,
): void {
  const run = () => {
    sweep(db, retention, clock()).catch((err: unknown) => log.warn({ err }, "cannot clean up the database"));
  };
  const timer = setInterval(run, everyMs).unref();
  scope.defer(() => clearInterval(timer));
}

/** One round at time `now`. */
export async function sweep(db: Database, retention: Retention, now: number): Promise<void> {
  await sweepSessions(db, now, endedSessionsMs);
  await sweepEmailTokens(db, now);
  await sweepMails(db, now);
  await sweepAttempts(db, now, retention.attemptsMs);
  await sweepAuditEvents(db, now - retention.auditMs);
}
