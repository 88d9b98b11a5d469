import assert from "node:assert/strict";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { type Command, keyOf, type Loaded, settle } from "./batch.ts";
import type { Action } from "./decide.ts";
import { type Account, type Line, maxAmount } from "./ledger.ts";

const accountIds = ["a", "b", "c", "d"];
const start = 1_000_000;

describe("ledger, the rules", () => {
  it("keep every sum, limit and hold, whatever is asked for in whatever order", () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 60 }), (steps) => {
        let loaded = empty();
        for (const [index, step] of steps.entries()) {
          loaded = books(loaded, settleAt(loaded, [commandOf(step, index, loaded)], index).writes);
          checkInvariants(loaded);
        }
      }),
    );
  });

  it("come to the same in one batch as in any split of it", () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 40 }), fc.array(fc.nat(10), { maxLength: 10 }), (steps, cuts) => {
        // Actions that name no hold, since those of one batch cannot know the ids of the others.
        const all = steps.map((step, index) => commandOf(step, index, empty()));
        const whole = settleAt(empty(), all, 0);
        let loaded = empty();
        const outcomes = [];
        for (let from = 0, n = 0; from < all.length; n++) {
          const to = from + 1 + (cuts[n] ?? 0);
          const part = settleAt(loaded, all.slice(from, to), 0, from);
          loaded = books(loaded, part.writes);
          outcomes.push(...part.outcomes);
          from = to;
        }
        assert.deepEqual(balances(loaded), balances(books(empty(), whole.writes)));
        assert.deepEqual(outcomes.map(kindOfOutcome), whole.outcomes.map(kindOfOutcome));
      }),
    );
  });

  it("change nothing when every request comes a second time, in the same batch or in the next", () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 30 }), (steps) => {
        const all = steps.map((step, index) => commandOf(step, index, empty()));
        const once = settleAt(empty(), all, 0);
        const twice = settleAt(empty(), [...all, ...all], 0);
        const made = (settled: typeof once) => settled.writes.recorded.map(({ transaction }) => transaction.lines);
        // What was refused for want of money may succeed later: that is a first time, not a second.
        const good = all.filter((_, index) => !(once.outcomes[index] instanceof ConnectError));
        const later = settleAt(books(empty(), once.writes), good, 1);
        assert.deepEqual(made(later), []);
        assert.deepEqual(
          later.outcomes.map((outcome) => !(outcome instanceof ConnectError) && outcome.transaction?.id),
          once.outcomes.flatMap((outcome) => (outcome instanceof ConnectError ? [] : outcome.transaction?.id)),
        );
        const keys = twice.writes.requests.map(keyOf);
        assert.equal(new Set(keys).size, keys.length);
      }),
    );
  });

  it("refuse a request id that came with other content, and leave the books as they are", () => {
    const first = command(
      {
        type: "record",
        draft: draft([
          ["a", 5n],
          [undefined, -5n],
        ]),
      },
      "one",
    );
    const other = command(
      {
        type: "record",
        draft: draft([
          ["a", 6n],
          [undefined, -6n],
        ]),
      },
      "one",
    );
    const { outcomes, writes } = settleAt(empty(), [first, other], 0);
    assert.match(String(outcomes[1]), /request_id "one" came before with other content/);
    assert.equal(writes.recorded.length, 1);
  });

  for (const [title, lines, message] of [
    ["one line", [["a", 1n]], /expected two at least, got 1/],
    [
      "a sum of 1",
      [
        ["a", 2n],
        [undefined, -1n],
      ],
      /expected a sum of 0, got 1/,
    ],
    [
      "an account twice",
      [
        ["a", 2n],
        ["a", -2n],
      ],
      /expected each account once, got a twice/,
    ],
    [
      "an amount of 0",
      [
        ["a", 0n],
        [undefined, 0n],
      ],
      /expected amounts other than 0/,
    ],
    [
      "more than 2^63 - 1 in all",
      [
        ["a", maxAmount],
        ["b", 1n],
        ["c", -maxAmount],
        [undefined, -1n],
      ],
      /does not fit 64 bits/,
    ],
    [
      "two currencies",
      [
        ["a", 2n],
        ["d", -2n],
      ],
      /account d is in USD, got EUR/,
    ],
    [
      "an account that is not there",
      [
        ["x", 2n],
        ["a", -2n],
      ],
      /account "x" does not exist/,
    ],
  ] as const) {
    it(`refuse ${title}`, () => {
      const { outcomes, writes } = settleAt(empty(), [command({ type: "record", draft: draft(lines) }, "one")], 0);
      assert.match(String(outcomes[0]), message);
      assert.deepEqual(writes, { accounts: [], newHolds: [], changedHolds: [], recorded: [], requests: [] });
    });
  }
});

/** What a step of a property asks for; which hold it means is known only when its turn comes. */
interface Step {
  readonly type: Action["type"];
  readonly from: string;
  readonly to: string | undefined;
  readonly amount: bigint;
  readonly hold: number;
}

const amounts = fc.oneof(fc.bigInt(1n, 2000n), fc.bigInt(maxAmount - 10n, maxAmount));
const commands: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom("record", "record", "record", "reserve", "capture", "release", "expire", "refund", "close"),
  from: fc.constantFrom(...accountIds),
  to: fc.constantFrom(...accountIds, undefined),
  amount: amounts,
  hold: fc.nat(5),
});

function commandOf({ type, from, to, amount, hold }: Step, index: number, loaded: Loaded): Command {
  const holdId = [...loaded.holds.keys()][hold] ?? "none";
  const texts = { category: "c", description: "" };
  const actions: Record<Action["type"], Action> = {
    record: {
      type: "record",
      draft: draft([
        [from, index % 3 === 0 ? amount : -amount],
        [to, index % 3 === 0 ? -amount : amount],
      ]),
    },
    reserve: { type: "reserve", accountId: from, amount, currency: "", expireTime: undefined },
    capture: { type: "capture", holdId, amount: amount % 3n === 0n ? 0n : amount, payeeAccountId: to, ...texts },
    release: { type: "release", holdId },
    expire: { type: "expire", holdId },
    refund: { type: "refund", holdId, amount: amount % 3n === 0n ? 0n : amount, description: "" },
    close: { type: "close", accountId: from },
  };
  return command(actions[type], `${index}`);
}

function command(action: Action, requestId: string): Command {
  const request = action.type === "close" || action.type === "expire" ? undefined : { caller: "user:u", requestId };
  return { action, may: () => true, request };
}

function draft(lines: readonly (readonly [accountId: string | undefined, amount: bigint])[]) {
  const both = lines.map(([accountId, amount]): Line => {
    return { to: accountId === undefined ? { outside: "entry" } : { accountId }, amount };
  });
  return { kind: "entry", lines: both, currency: "", category: "c", description: "", occurTime: undefined } as const;
}

function settleAt(loaded: Loaded, all: readonly Command[], now: number, firstId = 0) {
  let id = firstId;
  return settle(loaded, all, start + now, () => `${now}-${id++}`);
}

function empty(): Loaded {
  const account = (id: string, index: number): Account => ({
    id,
    userId: "u",
    displayName: "",
    currency: id === "d" ? "USD" : "EUR",
    lowerLimit: BigInt(index) * -500n,
    balance: 0n,
    held: 0n,
    postings: 0n,
    createTime: start,
    lastTime: start,
    closeTime: undefined,
  });
  const accounts = new Map(accountIds.map((id, index) => [id, account(id, index)]));
  return { accounts, holds: new Map(), requests: new Map(), transactions: new Map() };
}

/** What the database has after a batch. */
function books(loaded: Loaded, writes: ReturnType<typeof settle>["writes"]): Loaded {
  return {
    accounts: new Map([...loaded.accounts, ...writes.accounts.map((one) => [one.id, one] as const)]),
    holds: new Map([...loaded.holds, ...[...writes.newHolds, ...writes.changedHolds].map((one) => [one.id, one] as const)]),
    requests: new Map([...loaded.requests, ...writes.requests.map((one) => [keyOf(one), one] as const)]),
    transactions: new Map([
      ...loaded.transactions,
      ...writes.recorded.map(({ transaction }) => [transaction.id, transaction] as const),
    ]),
  };
}

/** Computes everything anew from the transactions and holds, as naively as can be. */
function checkInvariants({ accounts, holds, transactions }: Loaded): void {
  for (const { lines, currency } of transactions.values()) {
    assert.equal(
      lines.reduce((sum, { amount }) => sum + amount, 0n),
      0n,
    );
    for (const { to } of lines) if ("accountId" in to) assert.equal(accounts.get(to.accountId)?.currency, currency);
  }
  for (const { id, balance, held, lowerLimit, postings, closeTime } of accounts.values()) {
    const own = [...transactions.values()].flatMap(({ lines }) =>
      lines.filter(({ to }) => "accountId" in to && to.accountId === id),
    );
    assert.equal(
      balance,
      own.reduce((sum, { amount }) => sum + amount, 0n),
    );
    assert.equal(postings, BigInt(own.length));
    const open = [...holds.values()].filter(({ accountId, status }) => accountId === id && status === "held");
    assert.equal(
      held,
      open.reduce((sum, { amount }) => sum + amount, 0n),
    );
    assert.ok(balance - held >= lowerLimit && balance - lowerLimit <= maxAmount);
    if (closeTime !== undefined) assert.deepEqual([balance, held], [0n, 0n]);
  }
  for (const { id, amount, status, capturedAmount, refundedAmount } of holds.values()) {
    assert.ok(0n <= refundedAmount && refundedAmount <= capturedAmount && capturedAmount <= amount);
    assert.equal(status === "captured", capturedAmount > 0n);
    const moved = (kind: string) =>
      [...transactions.values()].filter((one) => one.holdId === id && one.kind === kind).flatMap(({ lines }) => lines);
    const sum = (lines: readonly Line[]) => lines.reduce((total, line) => (line.amount > 0n ? total + line.amount : total), 0n);
    assert.deepEqual([sum(moved("payment")), sum(moved("refund"))], [capturedAmount, refundedAmount]);
  }
}

function balances({ accounts }: Loaded) {
  return [...accounts.values()].map(({ id, balance, held, postings, closeTime }) => [id, balance, held, postings, closeTime]);
}

function kindOfOutcome(outcome: unknown): string {
  return outcome instanceof ConnectError ? outcome.message : "ok";
}
