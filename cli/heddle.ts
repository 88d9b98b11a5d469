/** The `heddle` command. On a Node that is too old for TypeScript, heddle.mjs stands before it. */
import { main } from "./program.ts";

process.exitCode = await main(process.argv.slice(2));
