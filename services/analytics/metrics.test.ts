import assert from "node:assert/strict";
import fc from "fast-check";
import { factsOf, periodOf, type TestPosting } from "./analytics.fixture.ts";
import { anomaliesOf, medianInPlace } from "./anomalies.ts";
import { cashFlowOf } from "./cash-flow.ts";
import { healthScoresOf, variationOf } from "./health-score.ts";
import { comparedPeriod } from "./period.ts";
import { slopeOf, spendingTrendsOf } from "./spending-trends.ts";

const now = "2026-07-10T12:00:00Z";
const march = periodOf("2026-03", now);
const change = (previous: bigint, difference: bigint, ratio: number | undefined) => ({ previous, difference, ratio });

describe("analytics cash_flow", () => {
  it("adds up income and expenses, leaves transfers out, and lets refunds take back what they refund", () => {
    const facts = factsOf(march, [
      { at: "2026-03-01", amount: 10_000n },
      { at: "2026-03-02", amount: -3000n },
      { at: "2026-03-02", amount: -500n, kind: "transfer" },
      { at: "2026-03-03", amount: 1000n, kind: "refund" },
      { at: "2026-03-04", amount: -200n, kind: "refund" },
      { at: "2026-04-01", amount: -9999n },
    ]);
    const [flow] = cashFlowOf(facts, undefined);
    const { buckets = [], ...sums } = flow ?? {};
    const none = { incomeChange: undefined, expenseChange: undefined, netChange: undefined };
    const money = { currency: "EUR", income: 9800n, expense: 2000n, net: 7800n, savingsRate: 7800 / 9800, count: 4 };
    assert.deepEqual(sums, { ...money, ...none });
    assert.deepEqual(
      buckets.slice(0, 5).map(({ label, income, expense, net, cumulativeNet }) => [label, income, expense, net, cumulativeNet]),
      [
        ["2026-03-01", 10_000n, 0n, 10_000n, 10_000n],
        ["2026-03-02", 0n, 3000n, -3000n, 7000n],
        ["2026-03-03", 0n, -1000n, 1000n, 8000n],
        ["2026-03-04", -200n, 0n, -200n, 7800n],
        ["2026-03-05", 0n, 0n, 0n, 7800n],
      ],
    );
    assert.equal(buckets.length, 31);
  });

  it("compares to the period before, and has no ratio where that had nothing", () => {
    const past = comparedPeriod(march, "previous_period", Date.parse(now));
    const before = factsOf(past, [
      { at: "2026-02-01", amount: 1000n },
      { at: "2026-02-28T23:59:59Z", amount: -4000n },
    ]);
    const [flow] = cashFlowOf(factsOf(march, [{ at: "2026-03-01", amount: 1500n }]), before);
    assert.deepEqual(flow?.incomeChange, change(1000n, 500n, 0.5));
    assert.deepEqual(flow?.expenseChange, change(4000n, -4000n, -1));
    assert.deepEqual(flow?.netChange, change(-3000n, 4500n, 1.5));
    const [fresh] = cashFlowOf(factsOf(march, [{ at: "2026-03-01", amount: 1n }]), factsOf(past, []));
    assert.deepEqual(fresh?.incomeChange, change(0n, 1n, undefined));
  });

  it("keeps currencies apart, that with the most postings first, and sums beyond 2^53 exact", () => {
    const large = 9_007_199_254_740_993n;
    const facts = factsOf(march, [
      { at: "2026-03-01", amount: large, currency: "JPY" },
      { at: "2026-03-01", amount: large, currency: "JPY" },
      { at: "2026-03-01", amount: 5n, currency: "EUR" },
      { at: "2026-03-01", amount: 7n, currency: "CHF" },
    ]);
    const flows = cashFlowOf(facts, undefined).map(({ currency, income }) => [currency, income]);
    assert.deepEqual(flows, [
      ["JPY", 18_014_398_509_481_986n],
      ["CHF", 7n],
      ["EUR", 5n],
    ]);
  });

  it("agrees with a naive sum over any postings", () => {
    const posting = fc.record({
      at: fc.integer({ min: march.from - 1000, max: march.to + 1000 }),
      amount: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).filter((amount) => amount !== 0n),
      category: fc.constantFrom("a", "b"),
      currency: fc.constantFrom("EUR", "USD"),
      kind: fc.constantFrom("flow", "transfer", "refund"),
    });
    fc.assert(
      fc.property(fc.array(posting), (postings) => {
        for (const { currency, income, expense, count, buckets } of cashFlowOf(
          factsOf(march, postings as TestPosting[]),
          undefined,
        )) {
          const own = postings.filter(
            (one) => one.currency === currency && one.kind !== "transfer" && one.at >= march.from && one.at < march.to,
          );
          const isIncome = (one: (typeof own)[number]) => one.amount > 0n !== (one.kind === "refund");
          const sum = (some: typeof own) => some.reduce((total, { amount }) => total + amount, 0n);
          assert.deepEqual(
            [income, expense, count],
            [sum(own.filter(isIncome)), -sum(own.filter((one) => !isIncome(one))), own.length],
          );
          assert.equal(buckets.at(-1)?.cumulativeNet, sum(own));
        }
      }),
    );
  });
});

describe("analytics spending_trends", () => {
  const quarter = periodOf("2026-Q1", now, { granularity: "month" });
  const facts = factsOf(quarter, [
    { at: "2026-01-05", amount: -100n, category: "food" },
    { at: "2026-02-05", amount: -200n, category: "food" },
    { at: "2026-03-05", amount: -300n, category: "food" },
    { at: "2026-01-05", amount: -400n, category: "rent" },
    { at: "2026-02-05", amount: -400n, category: "rent" },
    { at: "2026-03-05", amount: -400n, category: "rent" },
    { at: "2026-03-05", amount: -8n, category: "tea" },
    { at: "2026-03-05", amount: 4n, category: "tea", kind: "refund" },
    { at: "2026-03-05", amount: 9999n, category: "salary" },
  ]);

  it("has totals, shares and the slope of the least squares line for each category, largest first", () => {
    const [trends] = spendingTrendsOf(facts, undefined, 2);
    assert.deepEqual(
      [trends?.total, trends?.otherTotal, trends?.otherCount, trends?.labels],
      [1804n, 4n, 1, ["2026-01", "2026-02", "2026-03"]],
    );
    const same = { count: 3, change: undefined };
    assert.deepEqual(trends?.categories, [
      {
        category: "rent",
        total: 1200n,
        share: 1200 / 1804,
        buckets: [400n, 400n, 400n],
        slope: 0,
        slopeRatio: 0,
        direction: "steady",
        ...same,
      },
      {
        category: "food",
        total: 600n,
        share: 600 / 1804,
        buckets: [100n, 200n, 300n],
        slope: 100,
        slopeRatio: 0.5,
        direction: "rising",
        ...same,
      },
    ]);
  });

  it("takes no slope from buckets that the period cuts or that still go on", () => {
    const still = periodOf("2026-Q3", now, { granularity: "month" });
    const [trends] = spendingTrendsOf(factsOf(still, [{ at: "2026-07-05", amount: -5n }]), undefined, 20);
    assert.deepEqual(
      trends?.categories.map(({ slope, direction }) => [slope, direction]),
      [[undefined, "unknown"]],
    );
  });

  it("compares each category to its own past", () => {
    const past = factsOf(comparedPeriod(quarter, "same_period_last_year", Date.parse(now)), [
      { at: "2025-03-31", amount: -1000n, category: "rent" },
    ]);
    const [trends] = spendingTrendsOf(facts, past, 2);
    assert.deepEqual(
      trends?.categories.map((category) => category.change),
      [change(1000n, 200n, 0.2), change(0n, 600n, undefined)],
    );
    assert.deepEqual(trends?.change, change(1000n, 804n, 0.804));
  });

  it("slopeOf [1, 2, 4] is 1.5", () => assert.equal(slopeOf([1, 2, 4]), 1.5));
});

describe("analytics health_score", () => {
  const quarter = periodOf("2026-Q1", now, { granularity: "month" });
  const months = ["2026-01-10", "2026-02-10", "2026-03-10"];
  const steady = months.flatMap((at) => [
    { at, amount: 1000n },
    { at, amount: -900n },
  ]);

  it("weighs savings, buffer and the two stabilities", () => {
    // 90 days are 2.9569 months of 30.4375 days: 2700 / 2.9569 = 913.125 a month, and 2739.375 cover 3 of them.
    const [health] = healthScoresOf(factsOf(quarter, steady), new Map([["EUR", 2739n]]), undefined);
    const buffer = 2739 / (2700 / (90 / 30.4375));
    assert.deepEqual(health?.components, [
      { name: "savings_rate", score: 50, weight: 35, value: 0.1, unit: "ratio" },
      { name: "buffer", score: (100 * buffer) / 6, weight: 25, value: buffer, unit: "months" },
      { name: "income_stability", score: 100, weight: 20, value: 0, unit: "ratio" },
      { name: "expense_stability", score: 100, weight: 20, value: 0, unit: "ratio" },
    ]);
    // (50 * 35 + 49.99 * 25 + 100 * 20 + 100 * 20) / 100 = 69.998
    assert.deepEqual([health?.score, health?.rating, health?.balance, health?.previousScore], [70, "good", 2739n, undefined]);
  });

  it("leaves out what cannot be told, and is unknown when that is all", () => {
    const short = periodOf("2026-03", now, { granularity: "month" });
    const [one] = healthScoresOf(factsOf(short, [{ at: "2026-03-01", amount: 5n }]), new Map(), undefined);
    assert.deepEqual([one?.components.map(({ name }) => name), one?.score, one?.rating], [["savings_rate"], 100, "excellent"]);
    const undone: TestPosting[] = [
      { at: "2026-03-01", amount: -5n },
      { at: "2026-03-02", amount: 5n, kind: "refund" },
    ];
    const [none] = healthScoresOf(factsOf(short, undone), new Map(), undefined);
    assert.deepEqual([none?.components, none?.score, none?.rating], [[], 0, "unknown"]);
  });

  it("gives no points for living on nothing", () => {
    const short = periodOf("2026-03", now, { granularity: "month" });
    const [one] = healthScoresOf(factsOf(short, [{ at: "2026-03-01", amount: -5n }]), new Map([["EUR", -7n]]), undefined);
    assert.deepEqual(
      one?.components.map(({ name, score, value }) => [name, score, value === undefined]),
      [
        ["savings_rate", 0, true],
        ["buffer", 0, false],
      ],
    );
    assert.deepEqual([one?.score, one?.rating], [0, "poor"]);
  });

  it("tells the score of the compared period", () => {
    const past = factsOf(comparedPeriod(quarter, "previous_period", Date.parse(now)), [{ at: "2025-12-01", amount: -5n }]);
    const [health] = healthScoresOf(factsOf(quarter, steady), new Map(), { facts: past, balances: new Map() });
    assert.equal(health?.previousScore, 0);
  });

  it("variationOf [1, 3] is 0.5, and there is none of [1, -1]", () => {
    assert.deepEqual([variationOf([1, 3]), variationOf([1, -1])], [0.5, undefined]);
  });
});

describe("analytics anomalies", () => {
  const row = (amount: bigint, day: number, rest: Partial<TestPosting> = {}): TestPosting => ({
    at: march.from + day * 86_400_000,
    amount,
    id: String(day),
    ...rest,
  });
  const limits = { threshold: 3.5, limit: 100 };

  it("finds what is 3.5 robust deviations from its category's median", async () => {
    // |amount|: 10 11 12 13 14 15 16 100: median 13.5, distances 0.5 0.5 1.5 1.5 2.5 2.5 3.5 86.5, MAD 2.
    const amounts = [10n, 11n, 12n, 13n, 14n, 15n, 16n, 100n];
    const postings = amounts.map((amount, day) => row(-amount, day));
    const [found] = await anomaliesOf(factsOf(march, postings), undefined, limits);
    const z = 86.5 / (2 / 0.6745);
    const id = "00000000-0000-0000-0000-000000000007";
    const item = {
      transactionId: id,
      occurTime: march.from + 7 * 86_400_000,
      category: "c",
      amount: -100n,
      z,
      median: 13.5,
      mad: 2,
    };
    assert.deepEqual(found, { currency: "EUR", items: [item], total: 1, previousTotal: undefined, threshold: 3.5, skipped: 0 });
  });

  it("takes the mean distance where the MAD is 0, and finds nothing where all are the same", async () => {
    const seven = Array.from({ length: 9 }, (_, day) => row(7n, day));
    const [same] = await anomaliesOf(factsOf(march, seven), undefined, limits);
    assert.deepEqual([same?.total, same?.skipped], [0, 0]);
    const [one] = await anomaliesOf(factsOf(march, [...seven, row(17n, 9)]), undefined, limits);
    assert.deepEqual(
      one?.items.map(({ z, mad }) => [z, mad]),
      [[10 / (1.253314 * 1), 0]],
    );
  });

  it("leaves out refunds, and says how many categories have too few", async () => {
    const few = Array.from({ length: 7 }, (_, day) => row(-7n, day));
    const [found] = await anomaliesOf(factsOf(march, [...few, row(-9n, 7, { kind: "refund" })]), undefined, limits);
    assert.deepEqual([found?.total, found?.skipped], [0, 1]);
  });

  it("keeps the furthest of many, the earliest among equals, and counts all", async () => {
    const usual = Array.from({ length: 5000 }, (_, n) => row(BigInt(100 + (n % 5)), n % 31));
    const odd = Array.from({ length: 2000 }, (_, n) => row(BigInt(500 + (n % 2)), n % 31, { id: (n + 1).toString(16) }));
    const [found] = await anomaliesOf(factsOf(march, [...usual, ...odd]), undefined, { threshold: 3.5, limit: 3 });
    assert.equal(found?.total, 2000);
    assert.deepEqual(
      found?.items.map(({ amount, occurTime }) => [amount, occurTime]),
      Array(3).fill([501n, march.from]),
    );
  });

  it("counts those of the compared period by its own medians", async () => {
    const past = comparedPeriod(march, "previous_period", Date.parse(now));
    const before = Array.from({ length: 9 }, (_, n) => ({ at: past.from + n, amount: n === 0 ? 9000n : BigInt(100 + n) }));
    const [found] = await anomaliesOf(factsOf(march, [row(1n, 1)]), factsOf(past, before), limits);
    assert.equal(found?.previousTotal, 1);
  });

  it("medianInPlace agrees with sorting", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 2000 }), (values) => {
        const sorted = values.toSorted((a, b) => a - b);
        const [low = 0, high = 0] = [sorted[(values.length - 1) >> 1], sorted[values.length >> 1]];
        assert.equal(medianInPlace(Float64Array.from(values)), (low + high) / 2);
      }),
    );
  });
});
