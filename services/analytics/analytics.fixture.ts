/** Postings for tests of metrics, without a ledger. */
import { Facts, type FoundPostings, type PostingGroup, type PostingKind } from "./facts.ts";
import { type Period, resolvePeriod } from "./period.ts";

/** One posting, as tests write it. */
export interface TestPosting {
  /** Milliseconds since the epoch, or a date in UTC. */
  readonly at: number | string;
  readonly amount: bigint;
  readonly category?: string;
  readonly currency?: string;
  readonly kind?: PostingKind;
  /** 32 hexadecimal digits at most. */
  readonly id?: string;
}

/** A period by its text, in UTC. */
export function periodOf(period: string, now: string, rest: Partial<Parameters<typeof resolvePeriod>[0]> = {}): Period {
  const request = { period, from: undefined, to: undefined, timeZone: "", granularity: "", ...rest } as const;
  return resolvePeriod(request, Date.parse(now));
}

/** The facts of postings, each in a group of its own, as the ledger would send them. */
export function factsOf(period: Period, postings: readonly TestPosting[]): Facts {
  const groups = groupsOf(period, postings);
  const facts = new Facts(period, async function* (ranges) {
    for (const group of groups) {
      const amount = group.buckets[0]?.sum ?? 0n;
      const among = ranges.some(
        ({ currency, category, positive, atMost, atLeast }) =>
          `${currency} ${category} ${positive}` === `${group.currency} ${group.category} ${group.positive}` &&
          ((atMost !== undefined && amount <= atMost) || (atLeast !== undefined && amount >= atLeast)),
      );
      if (among && group.kind === "flow") yield group;
    }
  });
  for (const group of groups) facts.add(group);
  return facts;
}

/** Each posting of the period as a group. */
export function groupsOf({ buckets }: Period, postings: readonly TestPosting[]): (PostingGroup & FoundPostings)[] {
  return postings.flatMap(({ at, amount, category = "c", currency = "EUR", kind = "flow", id = "" }) => {
    const time = typeof at === "number" ? at : Date.parse(at);
    const bucket = buckets.findIndex(({ from, to }) => time >= from && time < to);
    if (bucket < 0) return [];
    const bytes = Buffer.alloc(32);
    bytes.writeBigInt64BE(amount, 0);
    bytes.writeBigInt64BE(BigInt(time - Date.UTC(2000, 0, 1)) * 1000n, 8);
    bytes.write(id.padStart(32, "0"), 16, "hex");
    const single = { postings: bytes, amounts: bytes.subarray(0, 8) };
    return [{ currency, category, kind, positive: amount > 0n, buckets: [{ bucket, sum: amount, count: 1 }], ...single }];
  });
}
