import type { CommandContext } from "../command-context.ts";
import { control } from "../supervisor/control-client.ts";

/** `heddle restart`: a rolling restart, reported step by step. @throws Failure when the supervisor could not do it. */
export async function restart({ folder, out }: CommandContext, service: string): Promise<number> {
  await control(folder, { action: "restart", service }, (step) => out.write(`${step}\n`));
  return 0;
}
