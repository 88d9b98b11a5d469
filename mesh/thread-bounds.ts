/** The bounds of worker threads' memory. */
import { setFlagsFromString } from "node:v8";

/**
 * Gives every worker thread that begins after this the bounds that its own resourceLimits name. The flags by which `heddle up` bounds the heap
 * of a process (--max-old-space-size, --max-semi-space-size) would override them: V8 reads them anew for the heap of each thread. The heap of
 * the process itself has them from its beginning, and keeps them.
 */
export function boundThreadsByThemselves(): void {
  setFlagsFromString("--max-old-space-size=0");
  setFlagsFromString("--max-semi-space-size=0");
}
