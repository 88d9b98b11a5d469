import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { startControl } from "../supervisor/control-server.ts";
import { createDataFolder, meshSecret, own } from "../supervisor/data-folder.ts";
import { clearLeftovers, recordProcesses } from "../supervisor/leftovers.ts";
import { makePlan } from "../supervisor/plan.ts";
import { runPlatform } from "../supervisor/run-platform.ts";
import { openProgress } from "../terminal/progress.ts";
import { lastLines } from "./log-tail.ts";
import { summary } from "./summary.ts";

/** The options of `heddle up`. */
export interface UpOptions {
  readonly detach?: boolean;
}

/** Processes of a killed run drain for up to 10 s; then this one takes over. */
const leftoverPatienceMs = 12_000;

/**
 * `heddle up`: starts the platform and keeps it until SIGINT, SIGTERM, SIGHUP or `heddle down`. A second Ctrl-C ends it at once.
 *
 * @throws Failure when the platform runs already, a port is taken, or a process does not start; nothing is left running then.
 */
export async function up(context: CommandContext, services: readonly string[], options: UpOptions): Promise<number> {
  if (options.detach === true) return (await import("./up-detached.ts")).upDetached(context, services);
  const { root, env, folder, out, paint } = context;
  const say = (line: string) => out.write(`${line}\n`);
  createDataFolder(folder);
  // What the processes write from here on is nobody else's to read.
  process.umask(0o077);
  // What is undone here is what would keep this process, or block the next one.
  await using undo = new AsyncDisposableStack();
  undo.defer(own(folder));
  await clearLeftovers(folder, leftoverPatienceMs, say);
  const plan = await makePlan(root, env, services);
  plan.notes.forEach(say);
  const names = plan.specs.map(({ name, kind }) => (kind === "infrastructure" ? name : `${name}-1`));
  const progress = openProgress(out, paint, names);
  undo.defer(() => progress.settle());
  const startedAt = Date.now();
  const platform = runPlatform({
    plan,
    folder,
    root,
    env,
    secret: meshSecret(folder, env.HEDDLE_MESH_SECRET),
    onChange: ({ spec, state }) => progress.changed({ name: spec.instance, state }),
    onProcesses: (pids) => recordProcesses(folder, pids),
  });
  undo.defer(
    onSignals((again) => {
      if (!again) return void platform.stop();
      say("killed");
      platform.kill();
    }),
  );
  const control = await startControl(folder, platform);
  undo.defer(() => control.close());
  try {
    await platform.start();
    progress.settle();
    say(await summary(plan, platform.status(), paint, Date.now() - startedAt));
  } catch (error) {
    const wanted = platform.status().phase === "stopping";
    progress.settle();
    await platform.fail(messageOf(error));
    if (!wanted) throw withLog(error, folder.logs);
  }
  await platform.stopped;
  return 0;
}

/** The error with what the process wrote at its last start, since the reason stands there. */
function withLog(error: unknown, logs: string): unknown {
  const message = messageOf(error);
  const named = /\(log: (.+)\)$/.exec(message)?.[1];
  if (!(error instanceof Failure) || named === undefined || !named.startsWith(logs)) return error;
  const lines = lastLines(named, 200);
  const notes = lines.flatMap((line, at) => (line.includes('"service":"supervisor"') ? [at] : []));
  // The last note tells of the last end; the one before it stands before what was written since the start.
  const said = lines.slice((notes.at(-2) ?? -1) + 1, notes.at(-1)).filter((line) => line.trim() !== "");
  return new Failure([message, ...said.slice(-20).map((line) => `  ${line}`)].join("\n"), error.exitCode, error);
}

/**
 * Calls back at each request to end. npm hands Ctrl-C on to a process that the terminal has told already: what comes within half a
 * second counts as the same.
 */
function onSignals(listener: (again: boolean) => void): () => void {
  let first: number | undefined;
  const heard = () => {
    const now = performance.now();
    if (first !== undefined && now - first < 500) return;
    listener(first !== undefined);
    first ??= now;
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, heard);
  return () => {
    for (const signal of signals) process.off(signal, heard);
  };
}
