import type { CommandContext } from "../command-context.ts";
import { control } from "../supervisor/control-client.ts";

/** `heddle scale`: settles when the new instances are ready and the surplus ones are gone. @throws Failure when it could not be done. */
export async function scale({ folder, out }: CommandContext, service: string, count: number): Promise<number> {
  await control(folder, { action: "scale", service, count }, (step) => out.write(`${step}\n`));
  return 0;
}
