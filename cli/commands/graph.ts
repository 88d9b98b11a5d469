import { writeFileSync } from "node:fs";
import { platform } from "../../services/platform.ts";
import type { CommandContext } from "../command-context.ts";
import { declaredCalls } from "../graph/declared-calls.ts";
import { mermaidGraph, svgGraph, textGraph } from "../graph/drawing.ts";
import { seenCalls } from "../graph/seen-calls.ts";
import { platformStatus } from "../supervisor/control-client.ts";

/** The options of `heddle graph`. */
export interface GraphOptions {
  /** Default text. */
  readonly format: "text" | "mermaid" | "svg";
  /** Default: stdout. */
  readonly out?: string;
}

/** `heddle graph`: who calls whom, by the code, and on a platform that runs with how often it did. */
export async function graph({ root, folder, out }: CommandContext, options: GraphOptions): Promise<number> {
  const running = await platformStatus(folder);
  const calls = {
    services: platform.map(({ name }) => name),
    declared: await declaredCalls(root, platform),
    seen: running === undefined ? undefined : await seenCalls(running),
  };
  const drawn = await { text: textGraph, mermaid: mermaidGraph, svg: svgGraph }[options.format](calls);
  if (options.out === undefined) out.write(drawn);
  else writeFileSync(options.out, drawn);
  return 0;
}
