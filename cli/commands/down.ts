import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { control } from "../supervisor/control-client.ts";
import { ownerOf } from "../supervisor/data-folder.ts";
import { clearLeftovers, leftovers } from "../supervisor/leftovers.ts";

/**
 * `heddle down`: stops everything in the reverse order, and settles when the supervisor is gone too. Without a supervisor it waits
 * for what a killed one left, and ends that. That nothing runs is no failure.
 */
export async function down(context: CommandContext): Promise<number> {
  const { folder, out } = context;
  const say = (line: string) => out.write(`${line}\n`);
  if (ownerOf(folder) !== undefined) {
    await control(folder, { action: "stop" }, say);
    for (const until = Date.now() + 10_000; ownerOf(folder) !== undefined && Date.now() < until; ) await sleep(20);
    return 0;
  }
  if (leftovers(folder).length === 0) say("the platform is not running");
  else await clearLeftovers(folder, 12_000, say);
  return 0;
}
