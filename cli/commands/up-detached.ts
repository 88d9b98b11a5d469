import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import { createDataFolder, ownerOf } from "../supervisor/data-folder.ts";

/**
 * `heddle up -d`: starts the supervisor in a session of its own, which outlives the terminal, and returns when everything is ready.
 * What it prints goes to logs/supervisor.log.
 *
 * @throws Failure with what the supervisor said, when it ended instead.
 */
export async function upDetached(context: CommandContext, services: readonly string[]): Promise<number> {
  const { root, folder, out } = context;
  createDataFolder(folder);
  const running = ownerOf(folder);
  if (running !== undefined) {
    throw new Failure(
      `the platform is running already (pid ${running.pid}): see \`heddle status\`, or end it with \`heddle down\``,
    );
  }
  const logFile = join(folder.logs, "supervisor.log");
  const log = openSync(logFile, "a", 0o600);
  const from = statSync(logFile).size;
  const child = spawn(process.execPath, [join(root, "cli/heddle.ts"), "up", ...services], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let ended: number | undefined;
  child.once("exit", (code) => {
    ended = code ?? 1;
  });
  const said = () => readFileSync(logFile).subarray(from).toString();
  let printed = 0;
  while (ended === undefined) {
    const status = await platformStatus(folder);
    const text = said();
    // Each line once, as soon as it is whole.
    const end = text.lastIndexOf("\n") + 1;
    if (status?.phase !== "failed") out.write(text.slice(printed, end).replace(/\nCtrl-C stops everything\.\n/, ""));
    printed = end;
    if (status?.phase === "running" && text.includes("Ready in ")) {
      out.write("\n`heddle status` shows it, `heddle down` stops it.\n");
      child.unref();
      return 0;
    }
    await sleep(50);
  }
  throw new Failure(`the platform did not start:\n${said().slice(printed).trim()}`);
}
