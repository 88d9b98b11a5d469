/** What all metrics are computed from: a user's postings of a period, added up. Pure. */
import type { Period } from "./period.ts";
import { Samples } from "./samples.ts";
import { Sums } from "./sums.ts";

/** Postings of one currency, category, kind and sign. Several may have the same four: they add to each other. */
export interface PostingGroup {
  readonly currency: string;
  readonly category: string;
  readonly kind: PostingKind;
  /** True: all amounts are above 0; else all are below. */
  readonly positive: boolean;
  /** The sum of amounts, in minor units, and the number of postings in each bucket that has any. */
  readonly buckets: readonly { readonly bucket: number; readonly sum: bigint; readonly count: number }[];
  /** Where single amounts were asked for: 8 bytes each, as Samples has them. */
  readonly amounts: Uint8Array;
}

/** Which single postings to look up: those of a currency, category and sign with an amount <= atMost or >= atLeast. */
export interface PostingRange {
  readonly currency: string;
  readonly category: string;
  readonly positive: boolean;
  /** In minor units, with its sign; undefined: none are that low. */
  readonly atMost: bigint | undefined;
  /** In minor units, with its sign; undefined: none are that high. */
  readonly atLeast: bigint | undefined;
}

/** Single postings of one category and sign, but for transfers and refunds. */
export interface FoundPostings {
  readonly category: string;
  readonly positive: boolean;
  /** 32 bytes each, as samplesIn reads them. */
  readonly postings: Uint8Array;
}

/** Looks postings of the period up. What was recorded since the facts were read may be among them. */
export type PostingLookup = (ranges: readonly PostingRange[]) => AsyncIterable<FoundPostings>;

/** What a posting is to us. Transfers do not count; refunds take back what they refund. */
export type PostingKind = "flow" | "transfer" | "refund";

/** What was added up of one currency. */
export interface CurrencyFacts {
  readonly currency: string;
  readonly income: Sums;
  /** Above 0 for money spent. */
  readonly expense: Sums;
  readonly categories: ReadonlyMap<string, CategoryFacts>;
  /** How many postings. */
  readonly count: number;
}

/** What was added up of one category. */
export interface CategoryFacts {
  readonly category: string;
  readonly expense: Sums;
  /** How many postings in `expense`, refunds among them. */
  readonly expenses: number;
  readonly incomeSamples: Samples;
  readonly expenseSamples: Samples;
}

/** The facts of a period, by currency. */
export class Facts {
  readonly period: Period;
  readonly lookup: PostingLookup;
  readonly #currencies = new Map<string, Writable<CurrencyFacts>>();
  #count = 0;

  constructor(period: Period, lookup: PostingLookup) {
    this.period = period;
    this.lookup = lookup;
  }

  /** How many postings were counted. */
  get count(): number {
    return this.#count;
  }

  /** By currency, that with the most postings first, by name among equals. */
  get currencies(): CurrencyFacts[] {
    return [...this.#currencies.values()].sort((a, b) => b.count - a.count || (a.currency < b.currency ? -1 : 1));
  }

  /** The facts of a currency; undefined when it has none. */
  of(currency: string): CurrencyFacts | undefined {
    return this.#currencies.get(currency);
  }

  add({ kind, positive, buckets, amounts, ...names }: PostingGroup): void {
    if (kind === "transfer") return;
    const currency = this.#currency(names.currency);
    const category = categoryIn(currency, names.category);
    const refund = kind === "refund";
    // A refund that comes in takes back an expense.
    const isExpense = positive === refund;
    for (const { bucket, sum, count } of buckets) {
      this.#count += count;
      currency.count += count;
      if (isExpense) {
        category.expenses += count;
        currency.expense.add(bucket, -sum);
        category.expense.add(bucket, -sum);
      } else currency.income.add(bucket, sum);
    }
    if (!refund && amounts.length > 0) (isExpense ? category.expenseSamples : category.incomeSamples).add(amounts);
  }

  #currency(name: string): Writable<CurrencyFacts> {
    let currency = this.#currencies.get(name);
    if (currency === undefined) {
      currency = { currency: name, income: new Sums(), expense: new Sums(), categories: new Map(), count: 0 };
      this.#currencies.set(name, currency);
    }
    return currency;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function categoryIn(currency: CurrencyFacts, name: string): Writable<CategoryFacts> {
  const categories = currency.categories as Map<string, Writable<CategoryFacts>>;
  let category = categories.get(name);
  if (category === undefined) {
    const samples = { incomeSamples: new Samples(), expenseSamples: new Samples() };
    category = { category: name, expense: new Sums(), expenses: 0, ...samples };
    categories.set(name, category);
  }
  return category;
}
