/**
 * Runs the vectors against any gateway:
 *
 *     node gateway/conformance/run.ts --target http://host:port --backend-port 7000 [--lenient-target URL]
 *       [--boot COMMAND] [--chapter NAME]... [--image FILE] [--json]
 *
 * It serves the contract's backend on --backend-port (127.0.0.1); the gateway is started by whoever calls, over the image that
 * --image writes, and its backend is that port. COMMAND gets an image on its standard input and exits with 0 when the gateway
 * would boot over it. Without --target, Heddle's own gateway runs. Exits with 1 when a vector that is not pending fails.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { startBackend } from "./runner/backend.ts";
import { buildContract } from "./runner/contract.ts";
import { bootOwn, startOwn } from "./runner/own.ts";
import { scoresOf, textReport } from "./runner/report.ts";
import { runChapters } from "./runner/runner.ts";
import { type Chapter, isLenient, loadChapters } from "./runner/vector.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    "lenient-target": { type: "string" },
    "backend-port": { type: "string", default: "0" },
    boot: { type: "string" },
    chapter: { type: "string", multiple: true },
    image: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const contract = buildContract();
  if (values.image !== undefined) writeFileSync(values.image, contract.image);
  await using undo = new AsyncDisposableStack();
  const backend = undo.use(await startBackend(contract, Number(values["backend-port"])));
  const own = values.target === undefined;
  const boot = own ? bootOwn : values.boot === undefined ? undefined : bootBy(values.boot);
  const chapters = loadChapters().filter(({ chapter }) => values.chapter === undefined || values.chapter.includes(chapter));
  const outcomes = await runChapters(chapters, async (chapter) => {
    const url = own ? undo.use(await startOwn(contract, backend.port, chapter.gateway)).url : targetOf(chapter);
    return { url, backend, contract, ...(boot === undefined ? {} : { boot }) };
  });
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ scores: Object.fromEntries(scoresOf(outcomes)), outcomes }, null, 2)}\n`
      : textReport(outcomes),
  );
  return outcomes.some(({ vector, differences }) => differences.length > 0 && vector.pending === undefined) ? 1 : 0;
}

/** Where the gateway under test is; undefined when nobody said where one in the lenient mode is. */
function targetOf(chapter: Chapter): URL | undefined {
  const target = isLenient(chapter) ? values["lenient-target"] : values.target;
  return target === undefined ? undefined : new URL(target);
}

function bootBy(command: string): (image: Uint8Array) => Promise<string | undefined> {
  return async (image) => {
    const child = spawn(command, { shell: true, stdio: ["pipe", "ignore", "pipe"] });
    const ended = new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
    child.stdin.on("error", () => {});
    child.stdin.end(image);
    const reason = await text(child.stderr);
    return (await ended) === 0 ? undefined : reason.trim() || "refused without a word";
  };
}
