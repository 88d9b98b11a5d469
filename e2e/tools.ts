/** The command-line clients that the end-to-end tests use as users do. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "..");
const tools = process.env.HEDDLE_TOOLS ?? join(root, ".heddle/tools");

/** Finds a program in the folder that .ci/run installs into or on PATH. */
export function findTool(name: string): string | undefined {
  const folders = [
    join(tools, "bin"),
    join(tools, "python/bin"),
    join(root, "node_modules/.bin"),
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * The program's path, or a printed skip of the test where it is not installed.
 *
 * @throws Error in CI, where nothing is skipped.
 */
export function needTool(test: Mocha.Context, name: string): string {
  const path = findTool(name);
  if (path !== undefined) return path;
  if (process.env.CI) throw new Error(`${name} is not installed, and CI skips nothing`);
  console.log(`      skipped: ${name} is not installed`);
  return test.skip();
}

/** What a program answered: all three, whatever its exit code. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, for at most 20 seconds. */
export async function runTool(path: string, ...args: string[]): Promise<Ran> {
  try {
    const { stdout, stderr } = await promisify(execFile)(path, args, { timeout: 20_000, cwd: root });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string };
    if (typeof code !== "number") throw error;
    return { code, stdout: stdout ?? "", stderr: stderr ?? "" };
  }
}
