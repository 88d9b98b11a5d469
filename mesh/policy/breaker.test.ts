import assert from "node:assert/strict";
import {
  admit,
  admits,
  type Breaker,
  type BreakerOutcome,
  type BreakerSettings,
  createBreaker,
  defaultBreaker,
  disableBreaker,
  forceOpen,
  type Permit,
  reconfigureBreaker,
  resetBreaker,
  viewBreaker,
} from "./breaker.ts";

/** Settings of one rule at a time: no rule but those in `changes` can trip. */
function settings(changes: Partial<BreakerSettings>): BreakerSettings {
  return { ...defaultBreaker, consecutiveFailures: 0, openJitter: 0, ...changes };
}

function permit(breaker: Breaker, now: number): Permit {
  const admission = admit(breaker, now);
  assert(admission.admitted, `refused in ${breaker.state.name}`);
  return admission;
}

function calls(breaker: Breaker, now: number, ...outcomes: readonly BreakerOutcome[]): void {
  for (const outcome of outcomes) permit(breaker, now).settle(outcome, now);
}

function times(count: number, outcome: BreakerOutcome): BreakerOutcome[] {
  return new Array<BreakerOutcome>(count).fill(outcome);
}

const stateOf = (breaker: Breaker, now: number) => viewBreaker(breaker, now).state;

/** Opened at 0 for 5,000 ms. */
function opened(changes: Partial<BreakerSettings> = {}): Breaker {
  const breaker = createBreaker(settings({ consecutiveFailures: 1, ...changes }), () => 0.5);
  calls(breaker, 0, "failure");
  assert.equal(breaker.state.name, "OPEN");
  return breaker;
}

describe("breaker: CLOSED", () => {
  it("opens by default at 5 failures in a row, not at 4", () => {
    const breaker = createBreaker();
    calls(breaker, 0, ...times(4, "failure"), "success", ...times(4, "failure"));
    assert.equal(stateOf(breaker, 0), "CLOSED");
    calls(breaker, 0, "slow-failure");
    assert.equal(stateOf(breaker, 0), "OPEN");
  });

  it("opens by default at 10 failures of 20 calls (50 %, >=), not at 9, and not before 20 calls", () => {
    const breaker = createBreaker();
    const pair: BreakerOutcome[] = ["failure", "success"];
    calls(breaker, 0, ...times(1, "success"), ...new Array(9).fill(pair).flat(), "success");
    assert.deepEqual(viewBreaker(breaker, 0), {
      state: "CLOSED",
      calls: 20,
      failureRate: 0.45,
      slowRate: 0,
      openUntil: undefined,
    });
    calls(breaker, 0, "failure");
    assert.equal(stateOf(breaker, 0), "OPEN");
    const few = createBreaker();
    calls(few, 0, ...new Array(9).fill(pair).flat(), "failure");
    assert.equal(stateOf(few, 0), "CLOSED");
  });

  it("forgets the oldest call when a count window of 4 is full", () => {
    const breaker = createBreaker(settings({ window: { kind: "count", calls: 4 }, minimumCalls: 4, failureRate: 0.5 }));
    calls(breaker, 0, "failure", "success", "success", "success", "failure");
    assert.deepEqual([stateOf(breaker, 0), viewBreaker(breaker, 0).failureRate], ["CLOSED", 0.25]);
    calls(breaker, 0, "failure");
    assert.equal(stateOf(breaker, 0), "OPEN");
  });

  it("forgets calls older than a time window of 10 s", () => {
    const breaker = createBreaker(settings({ window: { kind: "time", ms: 10_000 }, minimumCalls: 2, failureRate: 1 }));
    calls(breaker, 0, "failure");
    calls(breaker, 10_000, "failure");
    assert.deepEqual([stateOf(breaker, 10_000), viewBreaker(breaker, 10_000).calls], ["CLOSED", 1]);
    calls(breaker, 18_999, "failure");
    assert.equal(stateOf(breaker, 18_999), "OPEN");
  });

  it("opens at the slow-call rate; a call is slow from slowMs on, or when it says so", () => {
    const breaker = createBreaker(settings({ slowMs: 100, slowRate: 1, minimumCalls: 3, window: { kind: "count", calls: 3 } }));
    permit(breaker, 0).settle("success", 99);
    assert.equal(viewBreaker(breaker, 0).slowRate, 0);
    permit(breaker, 0).settle("success", 100);
    calls(breaker, 0, "slow");
    assert.equal(stateOf(breaker, 0), "CLOSED");
    permit(breaker, 0).settle("success", 5000);
    assert.equal(stateOf(breaker, 0), "OPEN");
  });

  it("counts no ignored calls", () => {
    const breaker = createBreaker();
    calls(breaker, 0, ...times(4, "failure"), ...times(50, "ignored"));
    assert.equal(viewBreaker(breaker, 0).calls, 4);
    calls(breaker, 0, "failure");
    assert.equal(stateOf(breaker, 0), "OPEN");
  });

  it("counts a permit once, however often it is settled", () => {
    const breaker = createBreaker();
    const once = permit(breaker, 0);
    for (let again = 0; again < 10; again++) once.settle("failure", 0);
    assert.deepEqual([stateOf(breaker, 0), viewBreaker(breaker, 0).calls], ["CLOSED", 1]);
  });

  it("meets minimumCalls 100 with a count window of 2 when the window is full", () => {
    const breaker = createBreaker(settings({ minimumCalls: 100, window: { kind: "count", calls: 2 } }));
    calls(breaker, 0, "failure");
    assert.equal(stateOf(breaker, 0), "CLOSED");
    calls(breaker, 0, "success");
    assert.equal(stateOf(breaker, 0), "OPEN");
  });
});

describe("breaker: OPEN", () => {
  it("refuses until 5,000 ms have passed and says until when", () => {
    const breaker = opened();
    assert.deepEqual(admit(breaker, 4_999), { admitted: false, state: "OPEN", openUntil: 5_000 });
    assert.deepEqual([admits(breaker, 4_999), admits(breaker, 5_000)], [false, true]);
    assert.deepEqual([stateOf(breaker, 5_000), breaker.state.name], ["HALF_OPEN", "OPEN"]);
    assert.equal(permit(breaker, 5_000).probe, true);
  });

  it("shows the counts that opened it", () => {
    assert.deepEqual(viewBreaker(opened(), 1), { state: "OPEN", calls: 1, failureRate: 1, slowRate: 0, openUntil: 5_000 });
  });

  for (const [random, openUntil] of [
    [0, 4_000],
    [0.5, 5_000],
    [0.75, 5_500],
  ] as const) {
    it(`lasts until ${openUntil} with jitter 0.2 and random number ${random}`, () => {
      const breaker = createBreaker(settings({ consecutiveFailures: 1, openJitter: 0.2 }), () => random);
      calls(breaker, 0, "failure");
      assert.equal(viewBreaker(breaker, 0).openUntil, openUntil);
    });
  }

  it("lasts twice as long after every failed probe, up to 60 s, and 5 s again after it was closed", () => {
    const breaker = opened({ probes: 1 });
    const lasted: number[] = [];
    let now = 5_000;
    for (let round = 0; round < 5; round++) {
      calls(breaker, now, "failure");
      const openUntil = viewBreaker(breaker, now).openUntil ?? Number.NaN;
      lasted.push(openUntil - now);
      now = openUntil;
    }
    assert.deepEqual(lasted, [10_000, 20_000, 40_000, 60_000, 60_000]);
    calls(breaker, now, "success", "failure");
    assert.equal(viewBreaker(breaker, now).openUntil, now + 5_000);
  });

  it("ignores the late results of calls that were admitted before it opened", () => {
    const breaker = createBreaker(settings({ consecutiveFailures: 2, probes: 1 }), () => 0.5);
    const late = [permit(breaker, 0), permit(breaker, 0), permit(breaker, 0)];
    calls(breaker, 0, "failure", "failure");
    late[0]?.settle("success", 10);
    assert.equal(stateOf(breaker, 10), "OPEN");
    permit(breaker, 5_000);
    late[1]?.settle("success", 5_001);
    assert.equal(stateOf(breaker, 5_001), "HALF_OPEN");
    resetBreaker(breaker);
    late[2]?.settle("failure", 5_002);
    assert.equal(viewBreaker(breaker, 5_002).calls, 0);
  });
});

describe("breaker: HALF_OPEN", () => {
  it("lets exactly 3 probes through and closes when all went well", () => {
    const breaker = opened();
    const probes = [permit(breaker, 5_000), permit(breaker, 5_000), permit(breaker, 5_000)];
    assert.deepEqual(admit(breaker, 5_000), { admitted: false, state: "HALF_OPEN", openUntil: 5_000 });
    assert.equal(admits(breaker, 5_000), false);
    for (const probe of probes.slice(0, 2)) probe.settle("success", 5_010);
    assert.deepEqual([stateOf(breaker, 5_010), admits(breaker, 5_010)], ["HALF_OPEN", false]);
    probes[2]?.settle("success", 5_020);
    assert.deepEqual(viewBreaker(breaker, 5_020), {
      state: "CLOSED",
      calls: 0,
      failureRate: 0,
      slowRate: 0,
      openUntil: undefined,
    });
  });

  it("opens again as soon as 2 of 3 failed, at 50 %", () => {
    const breaker = opened();
    calls(breaker, 5_000, "failure");
    assert.equal(stateOf(breaker, 5_000), "HALF_OPEN");
    calls(breaker, 5_000, "failure");
    assert.deepEqual([stateOf(breaker, 5_000), viewBreaker(breaker, 5_000).openUntil], ["OPEN", 15_000]);
  });

  it("closes with 1 of 3 failed, at 50 %", () => {
    const breaker = opened();
    calls(breaker, 5_000, "failure", "success", "success");
    assert.equal(stateOf(breaker, 5_000), "CLOSED");
  });

  it("opens again when all probes were slow, at a slow-call rate of 100 %", () => {
    const breaker = opened({ slowMs: 50 });
    for (const probe of [permit(breaker, 5_000), permit(breaker, 5_000), permit(breaker, 5_000)]) probe.settle("success", 5_050);
    assert.equal(stateOf(breaker, 5_050), "OPEN");
  });

  it("gives the place of an ignored probe to another call", () => {
    const breaker = opened({ probes: 1 });
    calls(breaker, 5_000, "ignored");
    assert.equal(stateOf(breaker, 5_000), "HALF_OPEN");
    calls(breaker, 5_000, "success");
    assert.equal(stateOf(breaker, 5_000), "CLOSED");
  });

  it("opens again when its probes have not ended after 60 s", () => {
    const breaker = opened({ probes: 1 });
    const lost = permit(breaker, 5_000);
    assert.equal(admit(breaker, 64_999).admitted, false);
    assert.deepEqual(admit(breaker, 65_000), { admitted: false, state: "OPEN", openUntil: 75_000 });
    lost.settle("success", 65_001);
    assert.equal(stateOf(breaker, 65_001), "OPEN");
    assert.equal(permit(breaker, 75_000).probe, true);
  });
});

describe("breaker: by hand", () => {
  it("FORCED_OPEN refuses until it is reset", () => {
    const breaker = createBreaker();
    forceOpen(breaker);
    assert.deepEqual(admit(breaker, 1e15), { admitted: false, state: "FORCED_OPEN", openUntil: Number.POSITIVE_INFINITY });
    resetBreaker(breaker);
    assert.equal(admit(breaker, 0).admitted, true);
  });

  it("DISABLED admits everything and counts nothing", () => {
    const breaker = createBreaker();
    disableBreaker(breaker);
    calls(breaker, 0, ...times(100, "failure"));
    assert.deepEqual([stateOf(breaker, 0), viewBreaker(breaker, 0).calls], ["DISABLED", 0]);
    resetBreaker(breaker);
    assert.equal(stateOf(breaker, 0), "CLOSED");
  });

  it("starts DISABLED with enabled: false, and a reset does not enable it", () => {
    const breaker = createBreaker(settings({ enabled: false }));
    assert.equal(stateOf(breaker, 0), "DISABLED");
    resetBreaker(breaker);
    assert.equal(stateOf(breaker, 0), "DISABLED");
    reconfigureBreaker(breaker, settings({}));
    assert.equal(stateOf(breaker, 0), "CLOSED");
  });

  it("keeps OPEN and its counts through new settings and closes by a reset", () => {
    const breaker = opened();
    reconfigureBreaker(breaker, settings({ consecutiveFailures: 7 }));
    assert.deepEqual(viewBreaker(breaker, 0), { state: "OPEN", calls: 1, failureRate: 1, slowRate: 0, openUntil: 5_000 });
    resetBreaker(breaker);
    calls(breaker, 0, ...times(6, "failure"));
    assert.equal(stateOf(breaker, 0), "CLOSED");
  });

  it("counts anew with another window", () => {
    const breaker = createBreaker();
    calls(breaker, 0, ...times(4, "failure"));
    reconfigureBreaker(breaker, { ...defaultBreaker, window: { kind: "count", calls: 30 } });
    calls(breaker, 0, ...times(4, "failure"));
    assert.deepEqual([stateOf(breaker, 0), viewBreaker(breaker, 0).calls], ["CLOSED", 4]);
  });
});
