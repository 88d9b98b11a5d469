/** The project in a folder of its own, for tests that change it, on ports and a data folder of its own. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { platform } from "../services/platform.ts";

const root = join(import.meta.dirname, "..");

/** A copy. */
export interface ProjectCopy {
  readonly path: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs a heddle command in it, and answers with what it printed. */
  heddle(...words: string[]): string;
  /** Stops its platform where one runs, and removes the folder. */
  remove(): void;
}

/** Copies what the project needs to run. `services` are those that the test adds: their ports are free ones as well. */
export function copyProject(
  services: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): ProjectCopy {
  const path = mkdtempSync(join(tmpdir(), "heddle-copy-"));
  const folders = ["cli", "consul", "e2e", "gateway", "gen", "mesh", "proto", "services"];
  const files = [
    "package.json",
    "package-lock.json",
    "buf.yaml",
    "buf.gen.yaml",
    "biome.json",
    ".mocharc.json",
    "docker-compose.yml",
    "tsconfig.json",
  ];
  for (const name of [...folders, ...files]) cpSync(join(root, name), join(path, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(path, "node_modules"));
  const names = [...platform.map(({ portVariable }) => portVariable), "HEDDLE_CONSUL_PORT", "HEDDLE_POSTGRES_PORT"];
  const added = services.map((name) => `HEDDLE_${name.toUpperCase().replaceAll("-", "_")}_PORT`);
  const environment = {
    ...env,
    PATH: `${dirname(process.execPath)}:${env.PATH}`,
    HEDDLE_DATA: join(path, "data"),
    ...Object.fromEntries([...names, ...added].map((name) => [name, "0"])),
  };
  const heddle = (...words: string[]) =>
    execFileSync(process.execPath, ["cli/heddle.mjs", ...words], { cwd: path, env: environment, encoding: "utf8" });
  return {
    path,
    env: environment,
    heddle,
    remove() {
      if (existsSync(join(path, "data"))) heddle("down");
      rmSync(path, { recursive: true, force: true });
    },
  };
}
