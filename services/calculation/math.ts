/**
 * mathjs, loaded when it is first used and only in a worker thread: one file of its authors' in place of a thousand, which takes a tenth
 * of the time and a third of the memory.
 */
import type { MathJsInstance } from "mathjs";
import { guard } from "./guards.ts";

/** What numbers are. */
export type NumberMode = "double" | "decimal";

/** Significant digits of decimals. */
export const precision = 64;

const made = new Map<NumberMode, Promise<MathJsInstance>>();

/** The library with what numbers are to be, and with bounds on what its functions may build. */
export function loadMath(mode: NumberMode): Promise<MathJsInstance> {
  let math = made.get(mode);
  if (math === undefined) {
    math = mode === "double" ? loadBundle().then(guard) : loadBundle().then((bundle) => guard(decimals(bundle)));
    made.set(mode, math);
  }
  return math;
}

// Its types are those of the package; the bundle itself has none.
const bundle: string = "mathjs/lib/browser/math.js";

async function loadBundle(): Promise<MathJsInstance> {
  const { default: math } = (await import(bundle)) as { default: MathJsInstance };
  return math;
}

function decimals(math: MathJsInstance): MathJsInstance {
  // The bundle's create takes the configuration alone.
  const { create } = math as unknown as { create(config: object): MathJsInstance };
  return create({ number: "BigNumber", precision });
}
