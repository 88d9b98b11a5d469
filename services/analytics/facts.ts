/** What all metrics are computed from: a user's postings of a period, added up as they come. */
import { bucketFinder, type Period } from "./period.ts";
import { Samples } from "./samples.ts";
import { Sums } from "./sums.ts";

/** Postings in columns: the n-th value of each belongs to the n-th posting. */
export interface PostingColumns {
  /** Milliseconds since the epoch. */
  readonly times: readonly bigint[];
  /** Minor units; below 0: taken from the account. */
  readonly amounts: readonly bigint[];
  readonly kinds: readonly PostingKind[];
  /** Where the category stands in `categories`. */
  readonly categoryIndexes: readonly number[];
  readonly currencyIndexes: readonly number[];
  /** 16 bytes of each one's transaction id. */
  readonly ids: Uint8Array;
  readonly categories: readonly string[];
  readonly currencies: readonly string[];
}

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
  readonly incomeSamples: Samples | undefined;
  readonly expenseSamples: Samples | undefined;
}

/** The facts of a period, by currency. */
export class Facts {
  readonly period: Period;
  readonly #find: (time: number) => number;
  readonly #samples: boolean;
  readonly #currencies = new Map<string, Writable<CurrencyFacts>>();
  #count = 0;

  /** @param samples whether the single amounts are needed, too */
  constructor(period: Period, samples: boolean) {
    this.period = period;
    this.#find = bucketFinder(period);
    this.#samples = samples;
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

  add(columns: PostingColumns): void {
    const { times, amounts, kinds, categoryIndexes, currencyIndexes, categories, currencies, ids } = columns;
    // Names are looked up once for a message, not once for a posting.
    const groups: (readonly [Writable<CurrencyFacts>, Writable<CategoryFacts>] | undefined)[] = [];
    for (let row = 0; row < amounts.length; row++) {
      const kind = kinds[row];
      const time = Number(times[row]);
      const bucket = kind === "transfer" ? -1 : this.#find(time);
      if (bucket < 0) continue;
      const place = (currencyIndexes[row] ?? 0) * categories.length + (categoryIndexes[row] ?? 0);
      let group = groups[place];
      if (group === undefined) {
        group = this.#group(currencies[currencyIndexes[row] ?? 0] ?? "", categories[categoryIndexes[row] ?? 0] ?? "");
        groups[place] = group;
      }
      const [currency, category] = group;
      const amount = amounts[row] ?? 0n;
      const refund = kind === "refund";
      // A refund that comes in takes back an expense.
      const isExpense = amount < 0n !== refund;
      this.#count++;
      currency.count++;
      if (isExpense) {
        category.expenses++;
        put(currency.expense, bucket, amount, -1);
        put(category.expense, bucket, amount, -1);
      } else put(currency.income, bucket, amount, 1);
      if (refund) continue;
      const samples = isExpense ? category.expenseSamples : category.incomeSamples;
      samples?.add(time, amount, ids, row * 16);
    }
  }

  #group(currencyName: string, categoryName: string): readonly [Writable<CurrencyFacts>, Writable<CategoryFacts>] {
    let currency = this.#currencies.get(currencyName);
    if (currency === undefined) {
      currency = { currency: currencyName, income: new Sums(), expense: new Sums(), categories: new Map(), count: 0 };
      this.#currencies.set(currencyName, currency);
    }
    const categories = currency.categories as Map<string, Writable<CategoryFacts>>;
    let category = categories.get(categoryName);
    if (category === undefined) {
      const samples = () => (this.#samples ? new Samples() : undefined);
      const empty = { expense: new Sums(), expenses: 0, incomeSamples: samples(), expenseSamples: samples() };
      category = { category: categoryName, ...empty };
      categories.set(categoryName, category);
    }
    return [currency, category];
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function put(sums: Sums, bucket: number, amount: bigint, sign: 1 | -1): void {
  const small = sign * Number(amount);
  if (Number.isSafeInteger(small)) sums.add(bucket, small);
  else sums.addLarge(bucket, sign === 1 ? amount : -amount);
}
