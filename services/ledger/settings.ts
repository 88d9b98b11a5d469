/** The environment that the ledger reads, beside what every process does. */
import { duration, integer } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** Commands that go into one database transaction at most. */
  maxBatch: integer("LEDGER_MAX_BATCH", 1, 1000, 200),
  /** How often holds are looked for whose time has come. */
  holdSweepMs: duration("LEDGER_HOLD_SWEEP", "1s"),
};
