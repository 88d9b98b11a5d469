/** The SQL of what was measured of hypotheses. */
import type { Queryable } from "#mesh/storage/database.ts";

/** What was measured last of a hypothesis. */
export interface Finding {
  readonly hypothesisId: string;
  readonly actual: number;
  readonly realisedShare: number;
  /** A day, as in 2027-03-31. */
  readonly measureDate: string;
}

/** Keeps a finding, unless one of a later day is there. */
export async function putFinding(tx: Queryable, modelId: string, finding: Finding): Promise<void> {
  await tx.query(
    `insert into finding (model_id, hypothesis_id, actual, realised_share, measure_date) values ($1, $2, $3, $4, $5)
     on conflict (model_id, hypothesis_id) do update set actual = excluded.actual, realised_share = excluded.realised_share,
       measure_date = excluded.measure_date where finding.measure_date <= excluded.measure_date`,
    [modelId, finding.hypothesisId, finding.actual, finding.realisedShare, finding.measureDate],
  );
}

/** The findings of models, by hypothesis id. */
export async function findingsOf(db: Queryable, modelIds: readonly string[]): Promise<ReadonlyMap<string, Finding>> {
  if (modelIds.length === 0) return new Map();
  const rows = await db.query<{ hypothesis_id: string; actual: number; realised_share: number; measure_date: string }>(
    "select hypothesis_id, actual, realised_share, measure_date from finding where model_id = any ($1::uuid[])",
    [modelIds],
  );
  return new Map(
    rows.map((row) => [
      row.hypothesis_id,
      {
        hypothesisId: row.hypothesis_id,
        actual: row.actual,
        realisedShare: row.realised_share,
        measureDate: row.measure_date,
      },
    ]),
  );
}
