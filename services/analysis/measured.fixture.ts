/**
 * Loaded into a service's process before the service (`node --import`): takes the delay of the event loop, by perf_hooks at a resolution of
 * 1 ms, and tells it when asked over IPC, with the process's own share of memory then (PSS). That is read but once, at the end: the kernel
 * walks all pages for it, which takes longer than what is measured.
 */
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What the process answers. */
export interface Figures {
  /** Milliseconds above the resolution: what the loop was late. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  /** Bytes. */
  readonly pss: number;
}

const resolution = 1;
const delay = monitorEventLoopDelay({ resolution });

process.on("message", (what: "begin" | "end") => {
  if (what === "begin") {
    delay.enable();
    delay.reset();
    return process.send?.("begun");
  }
  const measured = { delayP99Ms: delay.percentile(99) / 1e6 - resolution, delayMaxMs: delay.max / 1e6 - resolution };
  const [, kilobytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8")) ?? [];
  const figures: Figures = { ...measured, pss: Number(kilobytes) * 1024 };
  return process.send?.(figures);
});
// Listening must not keep the process alive, nor stand in the way of its end.
process.channel?.unref();
