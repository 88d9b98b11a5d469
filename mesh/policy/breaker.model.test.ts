/** The breaker against the same rules told with plain lists. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  admit,
  type BreakerOutcome,
  type BreakerSettings,
  createBreaker,
  defaultBreaker,
  disableBreaker,
  forceOpen,
  type Permit,
  resetBreaker,
} from "./breaker.ts";

describe("breaker: against a naive model", () => {
  const outcome = fc.constantFrom<BreakerOutcome>("success", "failure", "slow", "slow-failure", "ignored");
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("admit" as const) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("settle" as const), which: fc.nat(20), outcome }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 4_000 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("reset" as const, "force" as const, "disable" as const) }) },
  );
  const shape = fc.record({
    consecutiveFailures: fc.integer({ min: 0, max: 4 }),
    failureRate: fc.constantFrom(0.25, 0.5, 1),
    slowRate: fc.constantFrom(0.5, 1),
    minimumCalls: fc.integer({ min: 1, max: 6 }),
    window: fc.record({ kind: fc.constant("count" as const), calls: fc.integer({ min: 1, max: 8 }) }),
    probes: fc.integer({ min: 1, max: 4 }),
    openMs: fc.constantFrom(1_000, 3_000),
    maxOpenMs: fc.constantFrom(3_000, 8_000),
    probeTimeoutMs: fc.constantFrom(2_000, 9_000),
  });

  it("admits, refuses and shows the same for every series of calls, results and hours", () => {
    fc.assert(
      fc.property(shape, fc.array(step, { maxLength: 120 }), (changes, steps) => {
        const breaker = createBreaker({ ...defaultBreaker, openJitter: 0, ...changes }, () => 0.5);
        const model = new Model(breaker.settings);
        const running: { permit: Permit; epoch: number }[] = [];
        let now = 0;
        for (const event of steps) {
          if (event.kind === "pass") now += event.ms;
          else if (event.kind === "settle") {
            const [call] = running.splice(event.which, 1);
            call?.permit.settle(event.outcome, now);
            if (call !== undefined) model.settle(call.epoch, event.outcome, now);
          } else if (event.kind === "admit") {
            const admission = admit(breaker, now);
            assert.equal(admission.admitted, model.admit(now));
            if (admission.admitted) running.push({ permit: admission, epoch: model.epoch });
          } else {
            ({ reset: resetBreaker, force: forceOpen, disable: disableBreaker })[event.kind](breaker);
            model.byHand(event.kind);
          }
          assert.equal(breaker.state.name, model.name);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** The rules told again with plain lists: everything is kept and counted anew at each question. */
class Model {
  readonly settings: BreakerSettings;
  name = "CLOSED";
  epoch = 0;
  round = 0;
  until = 0;
  since = 0;
  admitted = 0;
  results: BreakerOutcome[] = [];

  constructor(settings: BreakerSettings) {
    this.settings = settings;
  }

  admit(now: number): boolean {
    const { probes, probeTimeoutMs } = this.settings;
    if (this.name === "OPEN" && now >= this.until) {
      this.enter("HALF_OPEN");
      this.since = now;
    } else if (this.name === "HALF_OPEN" && now - this.since >= probeTimeoutMs) this.open(now);
    if (this.name === "HALF_OPEN" && this.admitted < probes) {
      this.admitted++;
      return true;
    }
    return this.name === "CLOSED" || this.name === "DISABLED";
  }

  settle(epoch: number, outcome: BreakerOutcome, now: number): void {
    if (epoch !== this.epoch) return;
    if (outcome === "ignored") {
      this.admitted--;
      return;
    }
    this.results.push(outcome);
    const { consecutiveFailures, failureRate, slowRate, minimumCalls, window, probes } = this.settings;
    if (this.name === "HALF_OPEN") {
      const bad = share(this.results, "failure") >= failureRate * probes || share(this.results, "slow") >= slowRate * probes;
      if (bad) this.open(now);
      else if (this.results.length === probes) this.close();
    } else if (this.name === "CLOSED") {
      const size = window.kind === "count" ? window.calls : 0;
      const last = this.results.slice(-size);
      const row = this.results.slice(-consecutiveFailures);
      const inRow = consecutiveFailures > 0 && row.length === consecutiveFailures && share(row, "failure") === row.length;
      const enough = last.length >= Math.min(minimumCalls, size);
      const rates = share(last, "failure") >= failureRate * last.length || share(last, "slow") >= slowRate * last.length;
      if (inRow || (enough && rates)) this.open(now);
    }
  }

  byHand(kind: "reset" | "force" | "disable"): void {
    if (kind === "reset") this.close();
    else this.enter(kind === "force" ? "FORCED_OPEN" : "DISABLED");
  }

  open(now: number): void {
    const round = this.round + 1;
    this.enter("OPEN");
    this.round = round;
    this.until = now + Math.min(this.settings.openMs * 2 ** (round - 1), this.settings.maxOpenMs);
  }

  close(): void {
    this.enter("CLOSED");
    this.round = 0;
  }

  enter(name: string): void {
    this.name = name;
    this.epoch++;
    this.admitted = 0;
    this.results = [];
  }
}

function share(outcomes: readonly BreakerOutcome[], what: "failure" | "slow"): number {
  return outcomes.filter((outcome) => outcome.includes(what)).length;
}
