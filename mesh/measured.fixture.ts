/**
 * Loaded into a service's process before the service (`node --import`): takes its own figures and tells them, when asked over IPC.
 * Memory is resident memory, sampled every 20 ms, and the process's own share of it (PSS: what it shares with n others counts as 1/n, as
 * in `npm run bench boot`), sampled every 250 ms, since the kernel walks all pages for it. The event loop's delay is that of perf_hooks at
 * a resolution of 1 ms.
 */
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What the process answers. */
export interface Figures {
  /** Bytes when the measuring began, and the most since. */
  readonly startRss: number;
  readonly maxRss: number;
  /** Bytes: the greatest proportional share. */
  readonly maxPss: number;
  /** Milliseconds above the resolution: what the loop was late. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

const resolution = 1;
const delay = monitorEventLoopDelay({ resolution });
let startRss = 0;
let maxRss = 0;
let maxPss = 0;
const sample = () => {
  maxRss = Math.max(maxRss, process.memoryUsage.rss());
};
const sampleShare = () => {
  const [, kilobytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8")) ?? [];
  maxPss = Math.max(maxPss, Number(kilobytes) * 1024);
};

process.on("message", (what: "begin" | "end") => {
  if (what === "begin") {
    startRss = maxRss = process.memoryUsage.rss();
    setInterval(sample, 20).unref();
    setInterval(sampleShare, 250).unref();
    delay.enable();
    delay.reset();
    return process.send?.("begun");
  }
  sample();
  sampleShare();
  const figures: Figures = {
    startRss,
    maxRss,
    maxPss,
    delayP99Ms: delay.percentile(99) / 1e6 - resolution,
    delayMaxMs: delay.max / 1e6 - resolution,
  };
  return process.send?.(figures);
});
// Listening must not keep the process alive, nor stand in the way of its end.
process.channel?.unref();
