/** The rules for the folders of services: their shape, the length of their files, and that no service imports another. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "./finding.ts";

/** Lines that a file may have; what needs more is two nouns. */
const maxLines = 300;

/** Holds every folder of services/ to the rules. */
export function codeFindings(root: string): readonly Finding[] {
  const folders = readdirSync(join(root, "services"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.flatMap(({ name }) => {
    const folder = `services/${name}`;
    const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) =>
      file.replaceAll("\\", "/"),
    );
    return [...shapeFindings(root, folder, files), ...files.flatMap((file) => fileFindings(root, `${folder}/${file}`))];
  });
}

function shapeFindings(root: string, folder: string, files: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const miss = (file: string, what: string, fix: string) => findings.push({ file, rule: "folder-shape", what, fix });
  if (!files.includes("service.ts")) {
    miss(`${folder}/service.ts`, `${folder} has no service.ts`, "write the wiring: `export const x = defineService({...})`");
  }
  // A service with several contracts has a file for each.
  if (!files.some((file) => /^([a-z-]+-)?handlers\.ts$/.test(file))) {
    const fix = "write the contract's methods: `implement(XService, {...})`";
    miss(`${folder}/handlers.ts`, `${folder} has no handlers.ts`, fix);
  }
  if (!files.some((file) => file.endsWith(".test.ts"))) {
    miss(folder, `${folder} has no test`, "write x.test.ts beside what it tests");
  }
  const migrations = files.filter((file) => file.startsWith("migrations/"));
  const wrong = migrations.filter((file) => !/^migrations\/\d{3}_[a-z0-9_]+\.sql$/.test(file));
  for (const file of wrong)
    miss(`${folder}/${file}`, "the name gives no order", "call it NNN_what.sql, such as 002_add_index.sql");
  const numbers = migrations.map((file) => file.slice("migrations/".length, "migrations/".length + 3));
  const twice = numbers.find((number, at) => numbers.indexOf(number) !== at);
  if (twice !== undefined)
    miss(`${folder}/migrations`, `two migrations have the number ${twice}`, "give one of them the next number");
  const service = join(root, folder, "service.ts");
  if (existsSync(service) && migrations.length > 0 && !/migrations:/.test(readFileSync(service, "utf8"))) {
    const fix = 'say `migrations: new URL("./migrations/", import.meta.url)` in defineService';
    miss(`${folder}/service.ts`, "its migrations are never applied", fix);
  }
  return findings;
}

function fileFindings(root: string, file: string): Finding[] {
  if (!file.endsWith(".ts")) return [];
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  const long: Finding[] =
    lines.length - 1 <= maxLines || isTest(file)
      ? []
      : [
          {
            file,
            rule: "file-length",
            what: `it has ${lines.length - 1} lines`,
            fix: `split it by noun: at most ${maxLines} lines`,
          },
        ];
  return [...long, ...lines.flatMap((line, at) => importFindings(file, line, at + 1))];
}

function importFindings(file: string, line: string, number: number): Finding[] {
  const from = /(?:from|import)\s*\(?\s*"([^"]+)"/.exec(line)?.[1];
  // A service's tests may run it together with those that it needs.
  if (from === undefined || !from.startsWith(".") || isTest(file)) return [];
  const own = file.split("/").slice(0, 2).join("/");
  const target = new URL(from, `file:///${file}`).pathname.slice(1);
  if (target.startsWith(`${own}/`)) return [];
  const other = /^services\/([^/]+)\//.exec(target)?.[1];
  const what = other === undefined ? `it imports ${target}` : `it imports code of the service ${other}`;
  const fix =
    other === undefined ? "import #mesh/... or #gen/... only" : `call it: \`mesh.client(XService)\`, by ${other}'s contract`;
  return [{ file: `${file}:${number}`, rule: "service-imports", what, fix }];
}

/** Tests, what they share, and suites that several implementations pass. */
function isTest(file: string): boolean {
  return /\.(test|fixture|contract)\.ts$/.test(file);
}
