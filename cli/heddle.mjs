#!/usr/bin/env node
/**
 * The `heddle` command on whatever Node runs it: this process goes on when its Node runs TypeScript, else the Node that npm
 * installed takes over, and this process hands on its signals and ends as it ends.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const node = join(here, "../node_modules/.bin/node");
const cache = process.env.NODE_COMPILE_CACHE ?? join(here, "../node_modules/.cache/heddle");

if (Number(process.versions.node.split(".")[0]) >= 26) {
  // Keeps the compiled code between runs, so that a run neither strips types nor loads what strips them.
  module.enableCompileCache(cache);
  await import("./heddle.ts");
} else if (!existsSync(node)) {
  console.error("heddle: the dependencies are not installed; run `npm ci` in the folder of Heddle first.");
  process.exitCode = 1;
} else {
  takeOver();
}

function takeOver() {
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  const child = spawn(node, [join(here, "heddle.ts"), ...process.argv.slice(2)], { stdio: "inherit", env });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`heddle: ${node} did not start: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
