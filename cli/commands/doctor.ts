import { ConfigError } from "#mesh/config.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import {
  checkContracts,
  checkData,
  checkDependencies,
  checkDisk,
  checkMemory,
  checkNode,
  checkNpm,
  checkPorts,
  checkSettings,
} from "./doctor-machine.ts";
import { checkClock, checkConsul, checkPostgres } from "./doctor-servers.ts";

/** What one check found. */
export interface Finding {
  /** `fail`: the platform cannot run so. `warn`: it runs, but worse than it could. */
  readonly level: "ok" | "warn" | "fail";
  readonly detail: string;
  /** What to do about it; empty when nothing must be done. */
  readonly remedy: string;
}

/** All is well with what was checked. */
export function ok(detail: string): Finding {
  return { level: "ok", detail, remedy: "" };
}

/** The platform runs, but worse than it could. */
export function warn(detail: string, remedy: string): Finding {
  return { level: "warn", detail, remedy };
}

/** The platform cannot run so. */
export function fail(detail: string, remedy: string): Finding {
  return { level: "fail", detail, remedy };
}

const checks: readonly (readonly [name: string, check: (context: CommandContext) => Promise<Finding>])[] = [
  ["node", checkNode],
  ["npm", checkNpm],
  ["dependencies", checkDependencies],
  ["contracts", checkContracts],
  ["settings", checkSettings],
  ["ports", checkPorts],
  ["disk", checkDisk],
  ["memory", checkMemory],
  ["data folder", checkData],
  ["consul", checkConsul],
  ["postgresql", checkPostgres],
  ["clock", checkClock],
];

/** Settings that make no sense are the finding of one check, and keep others from theirs. */
function thrown(name: string, error: unknown): Finding {
  const unreadable = error instanceof ConfigError || (error instanceof Failure && error.exitCode === 2);
  return unreadable && name !== "settings" ? warn("not checked, since the settings are wrong", "") : fail(messageOf(error), "");
}

/** `heddle doctor`: a line for each check, in the order above. Exit code 1 when one failed. */
export async function doctor(context: CommandContext): Promise<number> {
  const { out, paint } = context;
  const marks = { ok: paint.green("ok  "), warn: paint.yellow("warn"), fail: paint.red("fail") };
  const findings = checks.map(([name, check]) => check(context).catch((error: unknown) => thrown(name, error)));
  let failed = false;
  for (const [index, [name]] of checks.entries()) {
    const finding = await findings[index];
    if (finding === undefined) continue;
    failed ||= finding.level === "fail";
    const remedy = finding.remedy === "" ? "" : `\n${" ".repeat(20)}${paint.bold(finding.remedy)}`;
    out.write(`${marks[finding.level]}  ${name.padEnd(12)}  ${finding.detail}${remedy}\n`);
  }
  return failed ? 1 : 0;
}
