import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import {
  type AttemptOutcome,
  attemptBegun,
  attemptEnded,
  begun,
  isEnded,
  isTransient,
  retried,
  type SagaStatus,
  type StepShape,
  sagaBackoff,
} from "./saga-state.ts";

/** What may happen to an attempt, "crash" being the death of its process. */
const happening = fc.constantFrom("ok", "ok", "ok", "failed", "refused", "crash");
const shapes = fc
  .array(fc.record({ compensable: fc.boolean(), maxAttempts: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 5 })
  .map((steps): StepShape[] => steps.map((step, index) => ({ name: `s${index}`, ...step })));

function outcomeOf(kind: string): AttemptOutcome {
  if (kind === "ok") return { kind };
  const failure = { code: kind === "failed" ? Code.Unavailable : Code.NotFound, message: kind, reason: "" };
  return kind === "failed" ? { kind, ...failure, retryAfterMs: undefined } : { kind: "refused", ...failure };
}

/** What the model does next: it says so, and is told what happened. */
type Turn = { readonly does: string; readonly stuck: boolean };

/** The same rules as a program that runs from its first line to its last and never dies. */
function* model(steps: readonly StepShape[]): Generator<Turn, SagaStatus, string> {
  const undo: StepShape[] = [];
  for (const step of steps) {
    let [tries, failures] = [0, 0];
    for (;;) {
      tries++;
      const happened = yield { does: `run ${step.name}`, stuck: false };
      if (happened === "crash") continue;
      if (happened === "ok") break;
      if (happened === "failed" && ++failures < step.maxAttempts) continue;
      if (!(happened === "refused" && tries === 1)) undo.push(step);
      for (const done of undo.toReversed()) {
        if (!done.compensable) continue;
        for (let failed = 0; ; ) {
          const undone: string = yield { does: `compensate ${done.name}`, stuck: failed >= done.maxAttempts };
          if (undone === "ok") break;
          if (undone !== "crash") failed++;
        }
      }
      return "COMPENSATED";
    }
    undo.push(step);
  }
  return "DONE";
}

describe("saga state", () => {
  it("does what a plain program does that never dies, for every series of steps and happenings", () => {
    fc.assert(
      fc.property(shapes, fc.array(happening, { maxLength: 40 }), (steps, happenings) => {
        const plain = model(steps);
        let expected = plain.next();
        let progress = begun(steps, 0);
        for (const [now, happened] of happenings.entries()) {
          assert.equal(isEnded(progress), expected.done === true);
          if (expected.done) break;
          const action = progress.status === "RUNNING" ? "run" : "compensate";
          const { does, stuck } = expected.value;
          assert.deepEqual([`${action} ${progress.step}`, progress.status === "STUCK"], [does, stuck]);
          progress = attemptBegun(progress);
          if (happened !== "crash") progress = attemptEnded(steps, progress, outcomeOf(happened), { now, random: 0.5 });
          expected = plain.next(happened);
        }
        if (expected.done) assert.equal(progress.status, expected.value);
        if (expected.done) assert.equal(progress.nextAttemptTime, undefined);
      }),
      { numRuns: 2000 },
    );
  });

  it("ends when every attempt from some moment on succeeds, DONE or COMPENSATED and nothing left to undo", () => {
    fc.assert(
      fc.property(shapes, fc.array(happening, { maxLength: 30 }), (steps, happenings) => {
        let progress = begun(steps, 0);
        const all = [...happenings, ...steps.flatMap(() => ["ok", "ok"])];
        for (const happened of all) {
          if (isEnded(progress)) break;
          progress = attemptBegun(progress);
          if (happened !== "crash") progress = attemptEnded(steps, progress, outcomeOf(happened), { now: 0, random: 0 });
        }
        assert.ok(isEnded(progress));
        const left = progress.status === "DONE" ? steps.map(({ name }) => name) : [];
        assert.deepEqual(progress.effects, left);
        assert.equal(progress.failure === undefined, progress.status === "DONE");
      }),
      { numRuns: 1000 },
    );
  });

  it("waits 200 ms after a failure, doubled to at most 30 s, with 20 % of jitter, and never less than RetryInfo asks for", () => {
    const steps = [{ name: "a", compensable: false, maxAttempts: 20 }];
    let progress = begun(steps, 0);
    const waits: number[] = [];
    for (let n = 0; n < 10; n++) {
      const failed = { kind: "failed", code: 14, message: "", reason: "", retryAfterMs: n === 9 ? 60_000 : undefined } as const;
      progress = attemptEnded(steps, attemptBegun(progress), failed, { now: 1000, random: 0.5 });
      waits.push((progress.nextAttemptTime ?? 0) - 1000);
    }
    assert.deepEqual(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, sagaBackoff.maxMs, 60_000]);
    const extremes = [0, 0.999_999].map((random) => {
      const failed = { kind: "failed", code: 14, message: "", reason: "", retryAfterMs: undefined } as const;
      return attemptEnded(steps, attemptBegun(begun(steps, 0)), failed, { now: 0, random }).nextAttemptTime;
    });
    assert.deepEqual(extremes, [160, 240]);
  });

  it("a person's retry brings STUCK back to COMPENSATING with its attempts anew, and a waiting saga to now; an ended one is left", () => {
    const steps = [{ name: "a", compensable: true, maxAttempts: 1 }];
    const at = { now: 5, random: 0 };
    const turned = attemptEnded(steps, attemptBegun(begun(steps, 0)), outcomeOf("failed"), at);
    const stuck = attemptEnded(steps, attemptBegun(turned), outcomeOf("refused"), at);
    assert.equal(stuck.status, "STUCK");
    assert.deepEqual(retried(stuck, 9), { ...stuck, status: "COMPENSATING", failures: 0, nextAttemptTime: 9 });
    assert.deepEqual(retried(turned, 9), { ...turned, nextAttemptTime: 9 });
    const ended = attemptEnded(steps, attemptBegun(stuck), outcomeOf("ok"), at);
    assert.equal(ended.status, "COMPENSATED");
    assert.equal(retried(ended, 9), undefined);
    assert.throws(() => attemptEnded(steps, ended, outcomeOf("ok"), at), RangeError);
  });

  it("takes UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL and UNAVAILABLE for transient, of all codes of gRPC", () => {
    const codes = Array.from({ length: 17 }, (_, code) => code);
    assert.deepEqual(codes.filter(isTransient), [2, 4, 8, 10, 13, 14]);
  });
});
