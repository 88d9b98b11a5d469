/**
 * Buffers that nobody needs any more. V8 counts what it keeps in its own heap, and looks at memory outside of it only once tens of
 * megabytes are dead: a long stream would so cost as much, however little of it waits. Looking more often costs 1 ms per 16 MB.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect: (options: { type: "minor" }) => void = runInNewContext("gc");
setFlagsFromString("--no-expose-gc");

/** Bytes of streams between two looks. */
const interval = 16 * 2 ** 20;
/** Of the process, since that is what memory belongs to. */
let passed = 0;

/** Counts bytes of a stream that have gone through, and has the buffers of earlier ones collected now and then. */
export function passBytes(count: number): void {
  passed += count;
  if (passed < interval) return;
  passed = 0;
  collect({ type: "minor" });
}
