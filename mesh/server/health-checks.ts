/** Checks that any process can run on itself. None is critical: a busy process that still answers should keep its traffic. */
import { statfs } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { HealthCheck } from "./health.ts";

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
      const { bavail, bsize } = await statfs(o.folder);
      const free = bavail * bsize;
      return free < minFreeBytes ? `${mb(free)} MB free, expected at least ${mb(minFreeBytes)} MB` : undefined;
    },
  };
}

function mb(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
