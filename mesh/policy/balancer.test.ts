import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, createBalancer, done, newLoad, pick, started } from "./balancer.ts";
import { admit, createBreaker, forceOpen } from "./breaker.ts";

function candidate(id: string, changes: Partial<Candidate> = {}): Candidate {
  return { id, weight: 1, passing: true, load: newLoad(0), breaker: undefined, ...changes };
}

/** A candidate that answered once in `ms`, at time 0. */
function measured(id: string, ms: number, changes: Partial<Candidate> = {}): Candidate {
  const made = candidate(id, changes);
  started(made.load, 0);
  done(made.load, 0, ms, "success");
  return made;
}

function open(id: string): Candidate {
  const breaker = createBreaker();
  forceOpen(breaker);
  return candidate(id, { breaker });
}

function tripped(id: string): Candidate {
  const breaker = createBreaker();
  for (let i = 0; i < 5; i++) {
    const permit = admit(breaker, 0);
    if (permit.admitted) permit.settle("failure", 0);
  }
  return candidate(id, { breaker });
}

/** The same numbers for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How often each was picked in so many picks. */
function tally(picks: number, next: () => Candidate | undefined): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let round = 0; round < picks; round++) {
    const id = next()?.id ?? "none";
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

for (const policy of ["p2c", "round_robin"] as const) {
  describe(`balancer ${policy}: who may be picked`, () => {
    const random = seeded(1);
    const ids = (candidates: readonly Candidate[], tried?: ReadonlySet<string>) => {
      const balancer = createBalancer(policy);
      return Object.keys(tally(200, () => balancer.pick(candidates, { now: 0, random, tried }))).sort();
    };
    const a = candidate("a");
    const b = candidate("b");
    const sick = candidate("sick", { passing: false });

    it("is none of an empty list", () => assert.deepEqual(ids([]), ["none"]));
    it("is the only one", () => assert.deepEqual(ids([a]), ["a"]));
    it("is every passing one", () => assert.deepEqual(ids([a, b]), ["a", "b"]));
    it("is no failing one at 50 % passing", () => assert.deepEqual(ids([a, sick]), ["a"]));
    it("is all of them below 50 % passing", () => {
      assert.deepEqual(ids([a, sick, candidate("ill", { passing: false })]), ["a", "ill", "sick"]);
    });
    it("is a failing one when none passes", () => assert.deepEqual(ids([sick]), ["sick"]));
    it("is none whose breaker is open", () => assert.deepEqual(ids([a, open("o"), b]), ["a", "b"]));
    it("as a last resort is one whose breaker has tripped, but none that was forced open", () => {
      const options = { now: 0, random: Math.random, lastResort: true };
      assert.equal(createBalancer(policy).pick([tripped("t"), open("o")], options)?.id, "t");
      assert.equal(createBalancer(policy).pick([open("o")], options), undefined);
    });
    it("is none when the breakers of all are open", () => assert.deepEqual(ids([open("o"), open("p")]), ["none"]));
    it("is none that was tried, when another exists", () => assert.deepEqual(ids([a, b], new Set(["a"])), ["b"]));
    it("is one that was tried, when all were", () => assert.deepEqual(ids([a, b], new Set(["a", "b"])), ["a", "b"]));
    it("is one that was tried, when the other is open", () => assert.deepEqual(ids([a, open("o")], new Set(["a"])), ["a"]));
    it("is none of weight 0 beside another", () => assert.deepEqual(ids([a, candidate("z", { weight: 0 })]), ["a"]));
    it("is one of weight 0 when all are", () => {
      assert.deepEqual(ids([candidate("y", { weight: 0 }), candidate("z", { weight: 0 })]), ["y", "z"]);
    });
    it("is one that was tried rather than one of weight 0", () => {
      assert.deepEqual(ids([a, candidate("z", { weight: 0 })], new Set(["a"])), ["a"]);
    });

    it("is undefined only when every breaker is open, for every list", () => {
      const one = fc.record({ passing: fc.boolean(), open: fc.boolean(), weight: fc.nat(3), tried: fc.boolean() });
      fc.assert(
        fc.property(
          fc.array(one, { maxLength: 8 }),
          fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
          (list, numbers) => {
            const closedBreaker = createBreaker();
            const candidates = list.map((o, index) => ({
              ...(o.open ? open(`${index}`) : candidate(`${index}`, { breaker: closedBreaker })),
              ...o,
            }));
            const tried = new Set(candidates.filter((c) => c.tried).map((c) => c.id));
            const next = () => numbers.next().value ?? 0;
            const picked = createBalancer(policy).pick(candidates, { now: 0, random: next, tried });
            const panic = candidates.filter((c) => c.passing).length < candidates.length / 2;
            const able = candidates.filter((c) => !c.open && (panic || c.passing));
            assert.equal(picked === undefined, able.length === 0);
            assert(picked === undefined || able.includes(picked));
          },
        ),
      );
    });
  });
}

describe("balancer p2c", () => {
  it("picks the faster of two", () => {
    const pool = [measured("slow", 50), measured("fast", 5)];
    assert.deepEqual(
      tally(100, () => pick(pool, seeded(3), 0)),
      { fast: 100 },
    );
  });

  it("picks the slower one while the faster has ten times as many calls on the way", () => {
    const pool = [measured("slow", 40), measured("fast", 5)];
    for (let call = 0; call < 10; call++) started(pool[1]?.load ?? newLoad(0), 0);
    assert.equal(pick(pool, seeded(3), 0)?.id, "slow");
  });

  it("sends one call to an endpoint that was never measured, then waits for its answer", () => {
    const fresh = candidate("fresh");
    const pool = [fresh, measured("known", 5)];
    assert.equal(pick(pool, seeded(3), 0), fresh);
    started(fresh.load, 0);
    assert.equal(pick(pool, seeded(3), 0)?.id, "known");
    done(fresh.load, 1, 1, "success");
    assert.equal(pick(pool, seeded(3), 1), fresh);
  });

  it("picks the loser when it was quiet for more than 3 s", () => {
    const pool = [measured("slow", 500), measured("fast", 1)];
    for (const { load } of pool.slice(1)) started(load, 3_000);
    assert.deepEqual([pick(pool, seeded(3), 3_000)?.id, pick(pool, seeded(3), 3_001)?.id], ["fast", "slow"]);
  });

  it("keeps away from an endpoint that fails in 1 ms", () => {
    const failing = measured("failing", 1);
    started(failing.load, 0);
    done(failing.load, 0, 1, "failure");
    assert.equal(failing.load.ewmaMs, 1000);
    assert.deepEqual(
      tally(50, () => pick([failing, measured("fine", 20)], seeded(3), 0)),
      { fine: 50 },
    );
  });

  it("spreads over equal endpoints within 15 % of even", () => {
    const pool = ["a", "b", "c", "d"].map((id) => candidate(id));
    const random = seeded(7);
    for (const count of Object.values(tally(4000, () => pick(pool, random, 0)))) assert(Math.abs(count - 1000) < 150, `${count}`);
  });

  it("gives weight 3 about three times the calls of weight 1 at equal cost, among many", () => {
    const pool = [3, 1, 3, 1, 3, 1, 3, 1].map((weight, index) => candidate(`${weight}-${index}`, { weight }));
    const random = seeded(7);
    const counts = tally(8000, () => pick(pool, random, 0));
    const heavy = pool.filter(({ weight }) => weight === 3).reduce((total, { id }) => total + (counts[id] ?? 0), 0);
    assert(Math.abs(heavy / 8000 - 0.75) < 0.03, `${heavy}`);
  });

  it("sends most calls to the fast half of a simulated pool and starves none", () => {
    const speeds = [2, 2, 40, 40];
    const pool = speeds.map((ms, index) => candidate(`${ms}-${index}`));
    const random = seeded(11);
    const ends: { at: number; finish: () => void }[] = [];
    const counts = new Map<string, number>();
    for (let now = 0; now < 20_000; now++) {
      for (const end of ends.filter(({ at }) => at === now)) end.finish();
      const picked = pick(pool, random, now);
      assert(picked);
      const ms = speeds[pool.indexOf(picked)] ?? 0;
      counts.set(picked.id, (counts.get(picked.id) ?? 0) + 1);
      started(picked.load, now);
      ends.push({ at: now + ms, finish: () => done(picked.load, now + ms, ms, "success") });
      if (ends.length > 200) ends.splice(0, ends.length - 200);
    }
    const slow = (counts.get("40-2") ?? 0) + (counts.get("40-3") ?? 0);
    assert(slow > 10 && slow < 4000, `${slow}`);
  });
});

describe("balancer load", () => {
  it("goes up at once and down by 1/e in 10 s", () => {
    const load = newLoad(0);
    started(load, 0);
    done(load, 0, 10, "success");
    started(load, 0);
    done(load, 0, 100, "success");
    assert.equal(load.ewmaMs, 100);
    started(load, 0);
    done(load, 10_000, 10, "success");
    assert.equal(Math.round(load.ewmaMs * 1000), Math.round((100 / Math.E + 10 * (1 - 1 / Math.E)) * 1000));
  });

  for (const [signal, ewmaMs] of [
    ["success", 7],
    ["slow", 7],
    ["failure", 1000],
    ["connect-failure", 1000],
    ["load", 1000],
    ["drain", 0],
    ["ignored", 0],
  ] as const) {
    it(`has a latency of ${ewmaMs} ms after a first call of 7 ms that ended with ${signal}`, () => {
      const load = newLoad(0);
      started(load, 0);
      done(load, 7, 7, signal);
      assert.deepEqual([load.ewmaMs, load.inflight], [ewmaMs, 0]);
    });
  }
});

describe("balancer round_robin", () => {
  it("takes a, b, c in turn", () => {
    const balancer = createBalancer("round_robin");
    const pool = ["a", "b", "c"].map((id) => candidate(id));
    const order = Array.from({ length: 7 }, () => balancer.pick(pool, { now: 0, random: Math.random })?.id);
    assert.deepEqual(order, ["a", "b", "c", "a", "b", "c", "a"]);
  });

  it("takes weights 5, 1, 1 as a a b a c a a (smooth, not in a burst)", () => {
    const balancer = createBalancer("round_robin");
    const pool = [candidate("a", { weight: 5 }), candidate("b"), candidate("c")];
    const order = Array.from({ length: 7 }, () => balancer.pick(pool, { now: 0, random: Math.random })?.id);
    assert.deepEqual(order, ["a", "a", "b", "a", "c", "a", "a"]);
  });

  it("keeps the turn of an endpoint that one call left out", () => {
    const balancer = createBalancer("round_robin");
    const pool = ["a", "b", "c"].map((id) => candidate(id));
    const next = (tried?: ReadonlySet<string>) => balancer.pick(pool, { now: 0, random: Math.random, tried })?.id;
    assert.deepEqual([next(), next(new Set(["b"])), next(), next()], ["a", "c", "b", "c"]);
  });

  it("goes on after an endpoint was added and another removed", () => {
    const balancer = createBalancer("round_robin");
    const [a, b, c] = ["a", "b", "c"].map((id) => candidate(id));
    assert(a && b && c);
    balancer.pick([a, b], { now: 0, random: Math.random });
    const order = Array.from({ length: 4 }, () => balancer.pick([b, c], { now: 0, random: Math.random })?.id);
    assert.deepEqual(order, ["b", "c", "b", "c"]);
  });
});
