/** The end of a test: its findings and the event that tells of them, stored together or not at all. */
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database } from "#mesh/storage/database.ts";
import { failedChecks } from "./analysis.ts";
import type { Findings } from "./sensor-test.ts";
import { complete } from "./work-store.ts";

/** Completes a claimed test. False, and nothing stored or told, when the claim is lost. */
export function recordVerdict(
  { db, outbox }: { readonly db: Database; readonly outbox: Pick<Outbox, "put"> },
  test: { readonly id: string; readonly leaseId: string },
  findings: Findings,
  now: number,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    const completed = await complete(tx, test.id, test.leaseId, findings, now);
    if (completed === undefined) return false;
    const { verdict, sampleCount, analysis } = findings;
    const data = {
      testId: test.id,
      ...completed,
      verdict: verdict.toUpperCase(),
      failedChecks: failedChecks(analysis),
      sampleCount,
      completeTime: new Date(now).toISOString(),
    };
    await outbox.put(tx, { topic: "sensor-tests", key: test.id, type: "sensor.test.completed", data });
    return true;
  });
}
