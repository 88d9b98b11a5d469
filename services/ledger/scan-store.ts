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
}

/** Bytes of single postings in one message: a message may have 4 MB. */
const maxBytes = 32 * 32_768;
/** Into so many statements a scan of single postings is cut: each holds its own in memory. */
const statements = 12;

/**
 * The groups of each stretch of buckets. Rows never change, and each lies in one bucket, so that statements one after another miss
 * none and count none twice.
 *
 * @throws INVALID_ARGUMENT unless the boundaries ascend.
 */
export async function* scanTransactions(q: Queryable, query: ScanQuery): AsyncGenerator<ScannedGroup> {
  const { boundaries, postings } = query;
  if (boundaries.some((at, index) => index > 0 && at <= (boundaries[index - 1] ?? at))) {
    throw invalidArgument([{ field: "boundaries_ms", description: "expected each above the one before" }]);
  }
  const last = boundaries.length - 1;
  const step = postings ? Math.ceil(last / statements) : last;
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
  readonly packed: Buffer | null;
}

/** A bucket at a time by the index: cheaper than to find each row's bucket. */
function readBuckets(
  q: Queryable,
  { userId, boundaries, currency, postings }: ScanQuery,
  first: number,
  end: number,
): Promise<Row[]> {
  const dates = boundaries.slice(first, end + 1).map((at) => new Date(at));
  const packed = "string_agg(int8send(amount) || timestamptz_send(occur_time) || uuid_send(transaction_id), '')";
  return q.query<Row>(
    `SELECT currency, category, kind, positive, array_agg(bucket ORDER BY bucket) AS buckets,
       array_agg(sum::text ORDER BY bucket) AS sums, array_agg(count::text ORDER BY bucket) AS counts,
       string_agg(packed, '' ORDER BY bucket) AS packed
     FROM unnest($2::timestamptz[], $3::timestamptz[], $4::int[]) AS part (from_time, to_time, bucket), LATERAL (
       SELECT currency, category, kind, amount > 0 AS positive, sum(amount) AS sum, count(*) AS count,
         ${postings ? packed : "NULL::bytea"} AS packed
       FROM posting
       WHERE user_id = $1 AND occur_time >= from_time AND occur_time < to_time AND ($5 = '' OR currency = $5)
       GROUP BY currency, category, kind, amount > 0
     ) AS summed
     GROUP BY currency, category, kind, positive`,
    [userId, dates.slice(0, -1), dates.slice(1), dates.slice(1).map((_, index) => first + index), currency],
  );
}

function* parts({ packed, counts, ...row }: Row): Generator<ScannedGroup> {
  const bytes = packed ?? new Uint8Array();
  yield { ...row, counts: counts.map(BigInt), postings: bytes.subarray(0, maxBytes) };
  const rest = { ...row, buckets: [], sums: [], counts: [] };
  for (let at = maxBytes; at < bytes.length; at += maxBytes) yield { ...rest, postings: bytes.subarray(at, at + maxBytes) };
}
