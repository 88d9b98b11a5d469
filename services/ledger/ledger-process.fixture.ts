/** The ledger as a process of its own, which is started again whenever it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A supervised process. Disposing ends it for good. */
export interface LedgerProcess extends AsyncDisposable {
  /** Ends the process as a power cut would. A new one is started at once. */
  kill(): void;
  /** How many were started. */
  readonly starts: () => number;
}

/** Starts `services/ledger/service.ts` with this environment. */
export function superviseLedger(env: Readonly<Record<string, string>>): LedgerProcess {
  let child: ChildProcess | undefined;
  let ended = false;
  let starts = 0;
  const start = () => {
    if (ended) return;
    starts++;
    const entry = new URL("./service.ts", import.meta.url).pathname;
    child = spawn(process.execPath, [entry], { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit"] });
    child.once("exit", start);
  };
  start();
  return {
    kill: () => void child?.kill("SIGKILL"),
    starts: () => starts,
    async [Symbol.asyncDispose]() {
      ended = true;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      const late = setTimeout(() => child?.kill("SIGKILL"), 10_000);
      await exit;
      clearTimeout(late);
    },
  };
}
