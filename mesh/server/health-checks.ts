/** Checks that any process can run on itself. None is critical: a busy process that still answers should keep its traffic. */
import { access, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { HealthCheck } from "./health.ts";

/** What every process of the mesh looks at: itself, and the services that it needs. Dispose them at the end. */
export function processChecks(o: {
  folder: string;
  needs: readonly string[];
  ready(contract: string, signal: AbortSignal): Promise<void>;
}): readonly HealthCheck[] & Disposable {
  const eventLoop = eventLoopCheck();
  const needs = o.needs.map((contract) => needCheck({ contract, ready: o.ready }));
  const checks: HealthCheck[] = [eventLoop, memoryCheck(), diskCheck({ folder: o.folder }), ...needs];
  return Object.assign(checks, { [Symbol.dispose]: () => eventLoop[Symbol.dispose]() });
}

/**
 * The event loop turns in time.
 *
 * @param o.maxMs the 99th percentile of its delay since the last check, in milliseconds. Default 250: above it a health check
 *   of 1 s begins to be in danger. Disposing stops the sampling, which never keeps the process alive.
 */
export function eventLoopCheck(o: { maxMs?: number } = {}): HealthCheck & Disposable {
  const maxMs = o.maxMs ?? 250;
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  return {
    name: "event-loop",
    critical: false,
    async check() {
      const ms = Math.round(delay.percentile(99) / 1e6);
      delay.reset();
      return ms > maxMs ? `delay p99 ${ms} ms, expected at most ${maxMs} ms` : undefined;
    },
    [Symbol.dispose]: () => void delay.disable(),
  };
}

/**
 * The process fits its memory.
 *
 * @param o.maxBytes resident memory. Default 90 % of what the system or the container grants the process.
 * @param o.usedBytes where the figure comes from; replaced in tests.
 */
export function memoryCheck(o: { maxBytes?: number; usedBytes?: () => number } = {}): HealthCheck {
  const granted = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const maxBytes = o.maxBytes ?? granted * 0.9;
  const usedBytes = o.usedBytes ?? process.memoryUsage.rss;
  return {
    name: "memory",
    critical: false,
    async check() {
      const used = usedBytes();
      return used > maxBytes ? `${mb(used)} MB resident, expected at most ${mb(maxBytes)} MB` : undefined;
    },
  };
}

/**
 * The disk below `folder` has room.
 *
 * @param o.minFreeBytes default 100 MB: enough to write logs and a database's journal until somebody looks.
 */
export function diskCheck(o: { folder: string; minFreeBytes?: number }): HealthCheck {
  const minFreeBytes = o.minFreeBytes ?? 100 * 1024 * 1024;
  return {
    name: "disk",
    critical: false,
    async check() {
      const { bavail, bsize } = await statfs(await existing(o.folder));
      const free = bavail * bsize;
      return free < minFreeBytes ? `${mb(free)} MB free, expected at least ${mb(minFreeBytes)} MB` : undefined;
    },
  };
}

/**
 * Somebody serves a contract that this process calls.
 *
 * @param o.ready settles when a healthy instance of the contract is known; see MeshClient. It may take half a second.
 */
export function needCheck(o: { contract: string; ready(contract: string, signal: AbortSignal): Promise<void> }): HealthCheck {
  const patienceMs = 500;
  return {
    name: `needs ${o.contract}`,
    critical: false,
    async check(signal) {
      const patience = new AbortController();
      const stop = () => patience.abort();
      const timer = setTimeout(stop, patienceMs).unref();
      signal.addEventListener("abort", stop, { once: true });
      try {
        await o.ready(o.contract, patience.signal);
        return undefined;
      } catch {
        return `no healthy instance serves ${o.contract}`;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
      }
    },
  };
}

/** `folder`, or the nearest one above it that exists: it is made when the first file is. */
async function existing(folder: string): Promise<string> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    if (
      await access(path).then(
        () => true,
        () => dirname(path) === path,
      )
    )
      return path;
  }
}

function mb(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
