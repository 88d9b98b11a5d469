/** Installs when needed; the exit code. */
export function install(folder: string): Promise<number>;

/** What must be done about node_modules, decided from what was seen there. */
export function installState(seen: {
  readonly stamp: string;
  readonly kept: string | undefined;
  readonly lock: string;
  readonly record: string | undefined;
  readonly present: boolean;
  readonly node: boolean;
}): "absent" | "stale" | "unstamped" | "fresh";

/** The stamp of an install from this package-lock.json on this kind of machine. */
export function stampOf(lock: string): string;

/** One sentence on why `npm ci` failed and what to do. */
export function explain(code: number, output: string): string;
