/**
 * Loaded into a service's process before the service (`node --import`): takes its own figures and tells them, when asked over IPC.
 * Memory is resident memory, sampled every 20 ms; the event loop's delay is that of perf_hooks at a resolution of 1 ms.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What the process answers. */
export interface Figures {
  /** Bytes when the measuring began, and the most since. */
  readonly startRss: number;
  readonly maxRss: number;
  /** Milliseconds above the resolution: what the loop was late. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

const resolution = 1;
const delay = monitorEventLoopDelay({ resolution });
let startRss = 0;
let maxRss = 0;
const sample = () => {
  maxRss = Math.max(maxRss, process.memoryUsage.rss());
};

process.on("message", (what: "begin" | "end") => {
  if (what === "begin") {
    startRss = maxRss = process.memoryUsage.rss();
    setInterval(sample, 20).unref();
    delay.enable();
    delay.reset();
    return process.send?.("begun");
  }
  sample();
  const figures: Figures = {
    startRss,
    maxRss,
    delayP99Ms: delay.percentile(99) / 1e6 - resolution,
    delayMaxMs: delay.max / 1e6 - resolution,
  };
  return process.send?.(figures);
});
// Listening must not keep the process alive, nor stand in the way of its end.
process.channel?.unref();
