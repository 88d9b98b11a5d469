import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { afterFailure, backoff, deploymentAttempts, gateAfterAttempt, openGate, roomFor } from "./relay-decision.ts";

const codes = Object.values(Code).filter((code) => typeof code === "number") as Code[];
const parkedAtOnce = ["InvalidArgument", "NotFound", "AlreadyExists", "FailedPrecondition", "OutOfRange", "DataLoss"];
const parkedInTheEnd = ["PermissionDenied", "Unauthenticated", "Unimplemented"];

describe("relay decision", () => {
  it("parks at once, in the end, or never, by each code of gRPC", () => {
    const fateAt = (attempts: number) =>
      codes
        .filter((code) => afterFailure({ code, attempts, retryAfterMs: undefined, now: 0, random: 0.5 }).kind === "park")
        .map((code) => Code[code])
        .sort();
    assert.deepEqual(fateAt(1), parkedAtOnce.toSorted());
    assert.deepEqual(fateAt(deploymentAttempts - 1), parkedAtOnce.toSorted());
    assert.deepEqual(fateAt(deploymentAttempts), [...parkedAtOnce, ...parkedInTheEnd].sort());
  });

  it("waits 200 ms, doubled to at most 5 s, with 20 % of jitter either way, and never less than the receiver asks for", () => {
    const failure = fc.record({
      attempts: fc.integer({ min: 1, max: 5000 }),
      retryAfterMs: fc.option(fc.integer({ min: 0, max: 60_000 }), { nil: undefined }),
      now: fc.integer({ min: 0, max: 2e12 }),
      random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    });
    fc.assert(
      fc.property(failure, (f) => {
        const fate = afterFailure({ ...f, code: Code.Unavailable });
        assert.equal(fate.kind, "later");
        const waitMs = fate.kind === "later" ? fate.nextAttemptTime - f.now : Number.NaN;
        let plain: number = backoff.initialMs;
        for (let n = 1; n < f.attempts && plain < backoff.maxMs; n++) plain *= 2;
        plain = Math.min(plain, backoff.maxMs);
        assert.ok(waitMs >= Math.max(plain * 0.8, f.retryAfterMs ?? 0));
        assert.ok(waitMs <= Math.max(plain * 1.2, f.retryAfterMs ?? 0) + 1);
      }),
    );
  });

  it("lets all through, or one probe after a pause, as a plain count of failures in a row says", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("attempt" as const), away: fc.boolean() }),
      fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 6000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 20 }), (steps, running) => {
        let [gate, now] = [openGate, 0];
        const history: { away: boolean; at: number }[] = [];
        for (const s of steps) {
          if (s.kind === "pass") now += s.ms;
          else {
            gate = gateAfterAttempt(gate, s.away, now);
            history.push({ away: s.away, at: now });
          }
          const inRow = history.length - 1 - history.findLastIndex(({ away }) => !away);
          const pauseMs = Math.min(200 * 2 ** Math.max(0, inRow - 3), 5000);
          const probing = now >= (history.at(-1)?.at ?? 0) + pauseMs && running === 0 ? 1 : 0;
          assert.equal(roomFor(gate, running, 16, now), inRow >= 3 ? probing : Math.max(0, 16 - running));
        }
      }),
    );
  });
});
