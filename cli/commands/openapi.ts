import { writeFileSync } from "node:fs";
import { openApiOf } from "../../gateway/openapi/document.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { contractPlan } from "./contract-plan.ts";

/** The options of `heddle openapi`. */
export interface OpenApiCommandOptions {
  /** Default: the platform's own image. */
  readonly contracts?: string;
  /** Default: stdout. */
  readonly out?: string;
}

/**
 * `heddle openapi`: what a gateway over the image would serve as `/openapi.json`. Methods without an access rule are open in
 * another's image, as `heddle gateway` has them, and refused in the platform's own.
 *
 * @throws Failure when the image cannot be read or served, and when the file cannot be written.
 */
export async function openapi({ root, out }: CommandContext, options: OpenApiCommandOptions): Promise<number> {
  const text = openApiText(root, options.contracts);
  if (options.out === undefined) {
    out.write(text);
    return 0;
  }
  try {
    writeFileSync(options.out, text);
  } catch (error) {
    throw new Failure(`--out: ${messageOf(error)}`, 1, error);
  }
  return 0;
}

/** The document as indented JSON. */
export function openApiText(root: string, contracts?: string): string {
  const own = contracts === undefined;
  const document = openApiOf(contractPlan(root, contracts), { title: own ? "Heddle" : "API", openByDefault: !own });
  return `${JSON.stringify(document, null, 2)}\n`;
}
