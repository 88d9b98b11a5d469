/** The SQL of a user's postings added up. */
import { invalidArgument } from "#mesh/errors.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import type { TransactionKind } from "./ledger.ts";

/** Which postings. */
export interface ScanQuery {
  readonly userId: string;
  /** Ascending, in milliseconds since the epoch. */
  readonly boundaries: readonly number[];
  /** "" for any. */
  readonly currency: string;
  /** Whether the single postings are wanted, too. */
  readonly postings: boolean;
  /** Whether the single amounts are wanted, too. */
  readonly amounts: boolean;
  /** Unless empty: only postings that one of these describes. */
  readonly filters: readonly PostingFilter[];
}

/** Postings of one currency, category and sign with an amount <= atMost or >= atLeast. */
export interface PostingFilter {
  readonly currency: string;
  readonly category: string;
  readonly positive: boolean;
  readonly atMost: bigint | undefined;
  readonly atLeast: bigint | undefined;
}

/** Postings of one currency, category, kind and sign; see ScanTransactionsResponse. */
export interface ScannedGroup {
  readonly currency: string;
  readonly category: string;
  readonly kind: TransactionKind;
  readonly positive: boolean;
  readonly buckets: readonly number[];
  readonly sums: readonly string[];
  readonly counts: readonly bigint[];
  readonly postings: Uint8Array;
  readonly amounts: Uint8Array;
}

/** Bytes of single postings, and of single amounts, in one message: a message may have 4 MB. */
const maxBytes = 32 * 32_768;
/** Into so many statements a scan of single postings or amounts is cut: each holds its own in memory. */
const statements = 12;

/**
 * The groups of each stretch of buckets. Rows never change, and each lies in one bucket, so that statements one after another miss
 * none and count none twice.
 *
 * @throws INVALID_ARGUMENT unless the boundaries ascend.
 */
export async function* scanTransactions(q: Queryable, query: ScanQuery): AsyncGenerator<ScannedGroup> {
  const { boundaries, postings, amounts } = query;
  if (boundaries.some((at, index) => index > 0 && at <= (boundaries[index - 1] ?? at))) {
    throw invalidArgument([{ field: "boundaries_ms", description: "expected each above the one before" }]);
  }
  const last = boundaries.length - 1;
  const step = postings || amounts ? Math.ceil(last / statements) : last;
  const read = (first: number) => (first < last ? readBuckets(q, query, first, Math.min(first + step, last)) : undefined);
  let next = read(0);
  try {
    for (let first = step; next !== undefined; first += step) {
      const rows = await next;
      // The database works on the next while these are on their way. A failure is looked at in the next round.
      next = read(first);
      next?.catch(() => undefined);
      for (const row of rows) yield* parts(row);
    }
  } finally {
    await next?.catch(() => undefined);
  }
}

interface Row {
  readonly currency: string;
  readonly category: string;
  readonly kind: TransactionKind;
  readonly positive: boolean;
  readonly buckets: readonly number[];
  readonly sums: readonly string[];
  readonly counts: readonly string[];
  readonly postings: Buffer | null;
  readonly amounts: Buffer | null;
}

/** A bucket at a time by the index: cheaper than to find each row's bucket. */
function readBuckets(
  q: Queryable,
  { userId, boundaries, currency, postings, amounts, filters }: ScanQuery,
  first: number,
  end: number,
): Promise<Row[]> {
  const dates = boundaries.slice(first, end + 1).map((at) => new Date(at));
  const packed = "string_agg(int8send(amount) || timestamptz_send(occur_time) || uuid_send(transaction_id), '')";
  const filtered = filters.length === 0 ? { sql: "", params: [] } : conditionOf(filters, 6);
  return q.query<Row>(
    `SELECT currency, category, kind, positive, array_agg(bucket ORDER BY bucket) AS buckets,
       array_agg(sum::text ORDER BY bucket) AS sums, array_agg(count::text ORDER BY bucket) AS counts,
       string_agg(postings, '') AS postings, string_agg(amounts, '') AS amounts
     FROM unnest($2::timestamptz[], $3::timestamptz[], $4::int[]) AS part (from_time, to_time, bucket), LATERAL (
       SELECT currency, category, kind, amount > 0 AS positive, sum(amount) AS sum, count(*) AS count,
         ${postings ? packed : "NULL::bytea"} AS postings,
         ${amounts ? "string_agg(int8send(amount), '')" : "NULL::bytea"} AS amounts
       FROM posting
       WHERE user_id = $1 AND occur_time >= from_time AND occur_time < to_time AND ($5 = '' OR currency = $5) ${filtered.sql}
       GROUP BY currency, category, kind, amount > 0
     ) AS summed
     GROUP BY currency, category, kind, positive`,
    [
      ...[userId, dates.slice(0, -1), dates.slice(1), dates.slice(1).map((_, index) => first + index), currency],
      ...filtered.params,
    ],
  );
}

/** Compares numbers to the widest of all ranges first: it leaves few rows whose texts must be compared. */
function conditionOf(filters: readonly PostingFilter[], firstParam: number): { sql: string; params: unknown[] } {
  const widest = [false, true].flatMap((sign) => {
    const own = filters.filter(({ positive }) => positive === sign);
    return [
      own.reduce<bigint | null>((most, { atMost }) => (atMost === undefined || (most ?? atMost) > atMost ? most : atMost), null),
      own.reduce<bigint | null>(
        (least, { atLeast }) => (atLeast === undefined || (least ?? atLeast) < atLeast ? least : atLeast),
        null,
      ),
    ];
  });
  const columns = (["currency", "category", "positive", "atMost", "atLeast"] as const).map((name) =>
    filters.map((filter) => filter[name] ?? null),
  );
  const p = (n: number) => `$${firstParam + n}`;
  return {
    sql: `AND CASE WHEN amount > 0 THEN amount <= ${p(2)}::bigint OR amount >= ${p(3)}::bigint
         ELSE amount <= ${p(0)}::bigint OR amount >= ${p(1)}::bigint END
       AND EXISTS (
         SELECT FROM unnest(${p(4)}::text[], ${p(5)}::text[], ${p(6)}::boolean[], ${p(7)}::bigint[], ${p(8)}::bigint[])
           AS wanted (currency, category, positive, at_most, at_least)
         WHERE wanted.currency = posting.currency AND wanted.category = posting.category
           AND wanted.positive = (posting.amount > 0) AND (amount <= at_most OR amount >= at_least)
       )`,
    params: [...widest, ...columns],
  };
}

function* parts({ postings, amounts, counts, ...row }: Row): Generator<ScannedGroup> {
  const [rows, numbers] = [postings ?? new Uint8Array(), amounts ?? new Uint8Array()];
  const from = (at: number) => ({ postings: rows.subarray(at, at + maxBytes), amounts: numbers.subarray(at, at + maxBytes) });
  yield { ...row, counts: counts.map(BigInt), ...from(0) };
  const rest = { ...row, buckets: [], sums: [], counts: [] };
  for (let at = maxBytes; at < Math.max(rows.length, numbers.length); at += maxBytes) yield { ...rest, ...from(at) };
}
