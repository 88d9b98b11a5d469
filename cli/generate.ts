/**
 * `npm run generate`: everything under gen/ from everything under proto/, without any network.
 *
 * Two of the imported contracts are not on disk where buf needs them, so they are first laid out in `.buf-modules/`
 * (ignored by git, a module in buf.yaml): buf/validate/validate.proto, printed from the descriptor that
 * @bufbuild/protovalidate embeds, and grpc/health/v1/health.proto, which its npm package keeps under another path.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { printProto } from "./print-proto.ts";

const root = join(import.meta.dirname, "..");
const bin = join(root, "node_modules/.bin");
const gen = join(root, "gen");
const openApiFile = "openapi.json";
/** What stands in gen/ and is not made by buf. */
const kept: ReadonlySet<string> = new Set(["baseline.binpb", openApiFile]);

layOutModules();
if (process.argv[2] !== "--modules-only") {
  generate();
  // Loaded only now: the gateway is built on what has just been generated.
  const { openApiText } = await import("./commands/openapi.ts");
  writeFileSync(join(gen, openApiFile), openApiText(root));
}

/**
 * Generates aside and moves what changed into gen/, so that a program which reads gen/ meanwhile finds every file. The
 * accepted baseline is not generated and stays.
 */
function generate(): void {
  mkdirSync(join(root, ".heddle"), { recursive: true });
  const aside = mkdtempSync(join(root, ".heddle", "gen-"));
  try {
    buf("generate", "-o", aside);
    buf("build", "proto", "-o", join(aside, "gen/contracts.binpb"));
    const made = new Set(filesBelow(join(aside, "gen")));
    for (const name of made) moveWhenChanged(join(aside, "gen", name), join(gen, name));
    for (const name of filesBelow(gen)) if (!made.has(name) && !kept.has(name)) rmSync(join(gen, name));
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

function moveWhenChanged(from: string, to: string): void {
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return;
  mkdirSync(dirname(to), { recursive: true });
  renameSync(from, to);
}

/** Writes `.buf-modules/`, the contracts that npm packages carry in a form that buf cannot read in place. */
function layOutModules(): void {
  write("buf/validate/validate.proto", printProto(file_buf_validate_validate));
  const health = join(root, ".buf-modules/grpc/health/v1/health.proto");
  mkdirSync(dirname(health), { recursive: true });
  copyFileSync(join(root, "node_modules/grpc-health-check/proto/health/v1/health.proto"), health);
}

function write(name: string, text: string): void {
  const path = join(root, ".buf-modules", name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function buf(...args: string[]): void {
  execFileSync(join(bin, "buf"), args, { cwd: root, stdio: "inherit" });
}
