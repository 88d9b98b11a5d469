import assert from "node:assert/strict";
import { type InstanceEvent, type InstanceLife, next, restartDelayMs, stableMs, unborn } from "./instance-state.ts";

describe("instance state", () => {
  const live = (...events: readonly (readonly [number, InstanceEvent])[]): InstanceLife =>
    events.reduce((life, [now, event]) => next(life, event, now), unborn);
  const spawned = { kind: "spawned", pid: 7 } as const;
  const ok = { kind: "answered", ok: true, why: "" } as const;
  const notOk = { kind: "answered", ok: false, why: "/readyz answers 503" } as const;
  const exited = { kind: "exited", why: "it ended with code 3" } as const;
  const stop = { kind: "stop" } as const;

  it("goes from waiting to starting to ready", () => {
    assert.deepEqual(live([1, spawned], [2, notOk]).state, { kind: "starting", pid: 7, startedAt: 1 });
    assert.deepEqual(live([1, spawned], [2, ok]).state, { kind: "ready", pid: 7, startedAt: 1, readyAt: 2 });
  });

  it("is unready while /readyz answers 503, and ready again after", () => {
    const unready = live([1, spawned], [2, ok], [3, notOk]);
    assert.deepEqual(unready.state, { kind: "unready", pid: 7, startedAt: 1, readyAt: 2, why: "/readyz answers 503" });
    assert.deepEqual(next(unready, ok, 4).state, { kind: "ready", pid: 7, startedAt: 1, readyAt: 2 });
  });

  it("starts again at once after the first end and half a second after the second", () => {
    const once = live([1, spawned], [2, ok], [3, exited]);
    assert.deepEqual(once, { state: { kind: "backoff", until: 3, why: exited.why }, restarts: 0, failures: 1 });
    const twice = ([spawned, exited] as const).reduce<InstanceLife>((life, event) => next(life, event, 4), once);
    assert.deepEqual(twice, { state: { kind: "backoff", until: 504, why: exited.why }, restarts: 1, failures: 2 });
  });

  it("forgets failures after a stable minute", () => {
    const life = { ...live([0, spawned], [0, ok]), failures: 5 };
    assert.equal(next(life, exited, stableMs - 1).failures, 6);
    assert.equal(next(life, exited, stableMs).failures, 1);
  });

  it("stops: a running process by way of stopping, one that does not run at once", () => {
    assert.deepEqual(live([1, spawned], [2, stop]).state, { kind: "stopping", pid: 7 });
    assert.deepEqual(live([1, spawned], [2, stop], [3, exited]).state, { kind: "stopped" });
    assert.deepEqual(live([1, stop]).state, { kind: "stopped" });
    assert.deepEqual(live([1, spawned], [2, exited], [3, stop]).state, { kind: "stopped" });
  });

  it("takes no notice of events that come too late", () => {
    const stopped = live([1, spawned], [2, stop], [3, exited]);
    for (const event of [spawned, ok, exited, stop]) assert.deepEqual(next(stopped, event, 9), stopped);
  });

  it("waits 0, 500, 1000, 2000 ms and so on, at most 30 s", () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 50].map(restartDelayMs),
      [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
    );
  });
});
