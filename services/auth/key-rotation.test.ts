import assert from "node:assert/strict";
import { planKeys, type RotationPolicy } from "./key-rotation.ts";

const policy: RotationPolicy = { signForMs: 1000, publishAheadMs: 100, tokenLifetimeMs: 50 };
const at = (startTime: number) => ({ kid: `k${startTime}`, startTime });
const plan = (starts: readonly number[], now: number) => {
  const { signer, published, outdated, createToStartAt } = planKeys(starts.map(at), policy, now);
  return [signer?.startTime, published.map((key) => key.startTime), outdated.map((key) => key.startTime), createToStartAt];
};

describe("planKeys: signer, published, outdated, start of the key to make", () => {
  const rows: readonly (readonly [what: string, starts: number[], now: number, expected: unknown[]])[] = [
    ["without a key one is due at once", [], 5, [undefined, [], [], 5]],
    ["a young key signs alone", [0], 899, [0, [0], [], undefined]],
    ["100 before its end the next is due, to start at the end", [0], 900, [0, [0], [], 1000]],
    ["the next is published, and does not sign yet", [0, 1000], 950, [0, [0, 1000], [], undefined]],
    ["then it signs, and the old one stays published", [0, 1000], 1000, [1000, [1000, 0], [], undefined]],
    ["until its last token has ended", [0, 1000], 1049, [1000, [1000, 0], [], undefined]],
    ["and no longer", [0, 1000], 1050, [1000, [1000], [0], undefined]],
    ["a key that is long overdue goes on until the next has been published for 100", [0], 5000, [0, [0], [], 5100]],
  ];
  for (const [what, starts, now, expected] of rows) it(what, () => assert.deepEqual(plan(starts, now), expected));
});
