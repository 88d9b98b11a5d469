/** What the person who runs the platform may ask: calls through the mesh as one of its services, by the secret in the platform's folder. */

import type { CommandContext } from "../command-context.ts";
import { call } from "../commands/call.ts";
import { Failure } from "../failure.ts";

/** Makes one call and answers with its JSON. @throws Failure with the status, when it is refused. */
// biome-ignore lint/suspicious/noExplicitAny: the demo states the shape of each answer where it reads it
export async function asOperator(context: CommandContext, method: string, request: object): Promise<any> {
  let printed = "";
  let refused = "";
  const out = { write: (text: string) => (printed += text) } as unknown as NodeJS.WriteStream;
  const err = { write: (text: string) => (refused += text) } as unknown as NodeJS.WriteStream;
  const code = await call({ ...context, out, err }, method, JSON.stringify(request), { header: [] });
  if (code !== 0) throw new Failure(`${method} was refused: ${refused.trim()}`);
  return JSON.parse(printed);
}
