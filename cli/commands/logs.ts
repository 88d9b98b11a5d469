import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { type LogLine, parseLogLine, prettyLogLine } from "../terminal/log-line.ts";
import { LogFollower, lastLines } from "./log-tail.ts";

/** The options of `heddle logs`. */
export interface LogsOptions {
  readonly follow?: boolean;
  readonly lines: number;
  readonly json?: boolean;
}

interface NamedLine extends LogLine {
  readonly process: string;
}

/**
 * `heddle logs`: the last lines of all processes, or of one service's, in the order of time, then with -f what is added.
 *
 * @throws Failure for a service that has no log.
 */
export async function logs(context: CommandContext, service: string | undefined, options: LogsOptions): Promise<number> {
  const { folder, out, paint } = context;
  const names = () => logNames(folder.logs, service);
  if (names().length === 0) {
    const all = logNames(folder.logs, undefined);
    throw new Failure(
      service === undefined || all.length === 0
        ? `there are no logs in ${folder.logs}: start the platform with \`heddle up\``
        : `${service} has no log; there are logs of ${all.join(", ")}`,
    );
  }
  const write = (line: NamedLine) =>
    out.write(`${options.json === true ? line.text : prettyLogLine(line, line.process, paint)}\n`);
  const followers = new Map(names().map((name) => [name, new LogFollower(join(folder.logs, `${name}.log`))]));
  inOrder(names().flatMap((name) => named(name, lastLines(join(folder.logs, `${name}.log`), options.lines))))
    .slice(options.lines === 0 ? Number.POSITIVE_INFINITY : -options.lines)
    .forEach(write);
  while (options.follow === true) {
    await sleep(200);
    // A process that is added by `heddle scale` has a log of its own.
    for (const name of names()) if (!followers.has(name)) followers.set(name, new LogFollower(join(folder.logs, `${name}.log`)));
    inOrder([...followers].flatMap(([name, follower]) => named(name, follower.read()))).forEach(write);
  }
  return 0;
}

/** Processes with a log: those of `service` (auth: auth-1, auth-2), or the one of that very name. */
function logNames(folder: string, service: string | undefined): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".log"))
    .map((file) => file.slice(0, -4))
    .filter((name) => service === undefined || name === service || name.replace(/-\d+$/, "") === service)
    .filter((name) => service !== undefined || name !== "supervisor")
    .toSorted();
}

function named(process: string, lines: readonly string[]): readonly NamedLine[] {
  let time: number | undefined;
  return lines.map((text) => {
    const line = parseLogLine(text);
    // A line without a time (a stack, a library's print) belongs to the one before it.
    time = line.time ?? time;
    return { ...line, time: line.fields === undefined ? time : line.time, process };
  });
}

function inOrder(lines: readonly NamedLine[]): readonly NamedLine[] {
  return lines.toSorted((a, b) => (a.time ?? 0) - (b.time ?? 0));
}
