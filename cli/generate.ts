/**
 * `npm run generate`: everything under gen/ from everything under proto/, without any network.
 *
 * Two of the imported contracts are not on disk where buf needs them, so they are first laid out in `.buf-modules/`
 * (ignored by git, a module in buf.yaml): buf/validate/validate.proto, printed from the descriptor that
 * @bufbuild/protovalidate embeds, and grpc/health/v1/health.proto, which its npm package keeps under another path.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { printProto } from "./print-proto.ts";

const root = join(import.meta.dirname, "..");
const bin = join(root, "node_modules/.bin");

layOutModules();
if (process.argv[2] !== "--modules-only") {
  clean();
  buf("generate");
  buf("build", "proto", "-o", "gen/contracts.binpb");
}

/** Empties gen/, so that nothing of a contract that is gone stays; the accepted baseline is not generated and stays. */
function clean(): void {
  const gen = join(root, "gen");
  mkdirSync(gen, { recursive: true });
  for (const name of readdirSync(gen)) if (name !== "baseline.binpb") rmSync(join(gen, name), { recursive: true });
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
