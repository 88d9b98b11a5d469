import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { platform } from "../../services/platform.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { codeFindings } from "../verify/code-rules.ts";
import { contractFindings } from "../verify/contract-rules.ts";
import { deploymentFindings } from "../verify/deployment-rules.ts";
import type { Finding } from "../verify/finding.ts";
import { contractPlan } from "./contract-plan.ts";

/** The options of `heddle verify`. */
export interface VerifyOptions {
  readonly json?: boolean;
}

/** `heddle verify`: holds contracts, code and deployment to the rules of the project; 1 when something is found. */
export async function verify({ root, out, paint }: CommandContext, options: VerifyOptions): Promise<number> {
  const plan = contractPlan(root);
  const findings = [
    ...lintFindings(root),
    ...contractFindings(root, plan.contracts.types, plan),
    ...codeFindings(root),
    ...(await deploymentFindings(root, platform, plan.contracts.types)),
  ];
  if (options.json === true) {
    out.write(`${JSON.stringify(findings, null, 2)}\n`);
    return findings.length === 0 ? 0 : 1;
  }
  for (const { file, rule, what, fix } of findings) {
    out.write(`${paint.red(file)} ${paint.bold(rule)}: ${what}\n    ${fix}\n`);
  }
  const rpcs = `${plan.rpcs.size} methods, ${plan.routes.length} routes, ${platform.length} processes`;
  out.write(findings.length === 0 ? `${rpcs}: nothing to correct\n` : `${rpcs}: ${findings.length} to correct\n`);
  return findings.length === 0 ? 0 : 1;
}

/** What `buf lint` says: style, and comments on everything. */
function lintFindings(root: string): readonly Finding[] {
  const buf = join(root, "node_modules/.bin/buf");
  const { stdout, stderr, error } = spawnSync(buf, ["lint", "--error-format=json"], { cwd: root, encoding: "utf8" });
  if (error !== undefined || (stdout === "" && stderr !== "")) throw new Failure(`buf lint: ${error?.message ?? stderr.trim()}`);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const { path, start_line, type, message } = JSON.parse(line) as Readonly<Record<string, string>>;
      const fix = /^COMMENT/.test(type ?? "") ? "say in a comment above it what it is" : `see \`buf lint\`'s rule ${type}`;
      return { file: `${path}:${start_line}`, rule: `lint ${type}`, what: message ?? "", fix };
    });
}
