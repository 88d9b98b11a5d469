/** Takes a service of the running platform away, as a crash would, and gives it back. */
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { control, platformStatus } from "../supervisor/control-client.ts";

/** Kills every instance of `service` (SIGKILL) and keeps it down. @throws Failure when it does not run. */
export async function takeDown(context: CommandContext, service: string): Promise<readonly number[]> {
  const pids = await kill(context, service);
  await control(context.folder, { action: "scale", service, count: 0 }, () => {});
  return pids;
}

/** Starts one instance again, and settles when it is ready. */
export async function bringBack(context: CommandContext, service: string): Promise<void> {
  await control(context.folder, { action: "scale", service, count: 1 }, () => {});
}

/** Kills a process of the platform (SIGKILL), which the supervisor then starts again by itself. */
export async function kill(context: CommandContext, name: string): Promise<readonly number[]> {
  const running = await platformStatus(context.folder);
  const processes = running?.processes.filter((process) => process.service === name || process.name === name) ?? [];
  const pids = processes.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  if (pids.length === 0) throw new Failure(`${name} does not run`);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  return pids;
}
