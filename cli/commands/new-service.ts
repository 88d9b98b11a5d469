import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { platform } from "../../services/platform.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { filled, type Names, namesOf } from "../templates/fill.ts";

/** The lowest port that new services get. */
const firstPort = 7100;

const templates = join(import.meta.dirname, "../templates/service");

/** Where each template goes. */
const places: Readonly<Record<string, (names: Names) => string>> = {
  "contract.proto.tmpl": ({ packageName }) => `proto/${packageName}/v1/${packageName}.proto`,
  "service-config.json.tmpl": ({ packageName }) => `proto/${packageName}/v1/service-config.json`,
  "service.ts.tmpl": ({ name }) => `services/${name}/service.ts`,
  "handlers.ts.tmpl": ({ name }) => `services/${name}/handlers.ts`,
  "store.ts.tmpl": ({ name }) => `services/${name}/store.ts`,
  "migration.sql.tmpl": ({ name, packageName }) => `services/${name}/migrations/001_${packageName}.sql`,
  "test.ts.tmpl": ({ name }) => `services/${name}/${name}.test.ts`,
};

/**
 * `heddle new service`: a service that works, as a beginning: contract, service config, handlers, store, migration and test, its line in
 * services/platform.ts and its block in docker-compose.yml, and the generated code.
 *
 * @throws Failure for a name that is taken or cannot be one; nothing is written then.
 */
export async function newService({ root, out }: CommandContext, name: string): Promise<number> {
  const names = namesOf(name);
  if (names === undefined) {
    throw new Failure(`${name}: expected one word in the singular, in lower case, such as recipe or price-list`, 2);
  }
  const { packageName } = names;
  const files = Object.entries(places).map(([template, place]) => ({ template, file: place(names) }));
  const taken = [`proto/${packageName}`, `services/${name}`].find((folder) => existsSync(join(root, folder)));
  if (taken !== undefined || platform.some((service) => service.name === name)) {
    throw new Failure(`${name} exists: ${taken ?? "services/platform.ts"} has it`, 2);
  }
  const port = 1 + Math.max(firstPort - 1, ...platform.filter(({ port }) => port < 8000).map(({ port }) => port));
  const compose = composeWith(readFileSync(join(root, "docker-compose.yml"), "utf8"), name, port);
  const list = platformWith(readFileSync(join(root, "services/platform.ts"), "utf8"), name, port);
  for (const { template, file } of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), filled(readFileSync(join(templates, template), "utf8"), names, { port: String(port) }));
    out.write(`made ${file}\n`);
  }
  // A long name breaks lines where a short one does not.
  const written = files.map(({ file }) => file).filter((file) => file.endsWith(".ts"));
  execFileSync(join(root, "node_modules/.bin/biome"), ["check", "--write", "--vcs-enabled=false", ...written], {
    cwd: root,
    stdio: "ignore",
  });
  writeFileSync(join(root, "services/platform.ts"), list);
  writeFileSync(join(root, "docker-compose.yml"), compose);
  out.write("added it to services/platform.ts and docker-compose.yml\n");
  execFileSync(process.execPath, [join(root, "cli/generate.ts")], { cwd: root, stdio: "inherit" });
  out.write(`generated ${readdirSync(join(root, "gen", packageName, "v1")).map((file) => `gen/${packageName}/v1/${file}`)[0]}\n`);
  out.write(next(name));
  return 0;
}

/** Behind the last service of the list. @throws Failure when the list has lost its form. */
function platformWith(text: string, name: string, port: number): string {
  const last = text.lastIndexOf("\n  service(");
  const end = text.indexOf("\n", last + 1);
  if (last < 0) throw new Failure('services/platform.ts has no line such as service("auth", 7001, []): add the service by hand');
  return `${text.slice(0, end)}\n  service("${name}", ${port}, []),${text.slice(end)}`;
}

/** In front of the gateway. @throws Failure when the file has lost its form. */
function composeWith(text: string, name: string, port: number): string {
  const at = text.indexOf("\n  gateway:\n");
  if (at < 0) throw new Failure("docker-compose.yml has no gateway: add the service by hand");
  const ready = `fetch('http://127.0.0.1:${port + 1000}/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`;
  const block = `
  ${name}:
    <<: *service
    command: services/${name}
    healthcheck:
      <<: *health
      test: ["CMD", "node", "-e", "${ready}"]
`;
  return `${text.slice(0, at)}${block}${text.slice(at)}`;
}

function next(name: string): string {
  return `
Next:
  npx mocha services/${name}/*.test.ts
  npm start
  curl localhost:8080/api/v1/${name}s -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"title": "First"}'
`;
}
