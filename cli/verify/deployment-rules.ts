/** The rules for what starts the services: the platform's list, Docker Compose and the seeds of Consul agree with the code. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { FileRegistry } from "@bufbuild/protobuf";
import { parse } from "yaml";
import { contractsOf } from "../../consul/seed.ts";
import type { PlatformService } from "../../services/platform.ts";
import type { Finding } from "./finding.ts";

const list = "services/platform.ts";
const compose = "docker-compose.yml";

/** Holds `platform`, the Compose file and the service configs to the rules. */
export async function deploymentFindings(
  root: string,
  platform: readonly PlatformService[],
  files: FileRegistry,
): Promise<readonly Finding[]> {
  const definitions = await Promise.all(platform.map((service) => definitionFindings(root, service)));
  return [
    ...listFindings(root, platform),
    ...definitions.flat(),
    ...composeFindings(root, platform),
    ...seedFindings(root, files),
  ];
}

function listFindings(root: string, platform: readonly PlatformService[]): Finding[] {
  const listed = new Set(platform.map(({ entry }) => entry));
  const folders = readdirSync(join(root, "services"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const entries = folders.map(({ name }) => `services/${name}/service.ts`).filter((entry) => existsSync(join(root, entry)));
  const missing = entries.filter((entry) => !listed.has(entry));
  const ports = platform.map(({ port }) => port);
  const shared = platform.find(({ port }, at) => ports.indexOf(port) !== at);
  return [
    ...missing.map((entry) => ({
      file: list,
      rule: "platform-list",
      what: `${entry} is never started`,
      fix: `add its line: \`service("${entry.split("/")[1]}", <port>, []),\``,
    })),
    ...(shared === undefined
      ? []
      : [{ file: list, rule: "platform-list", what: `two services have port ${shared.port}`, fix: "give one another port" }]),
  ];
}

async function definitionFindings(root: string, { name, port, entry }: PlatformService): Promise<Finding[]> {
  const path = join(root, entry);
  if (!existsSync(path)) {
    return [{ file: list, rule: "platform-list", what: `${entry} does not exist`, fix: `write it, or drop ${name}'s line` }];
  }
  // The gateway is no service of the mesh's form.
  if (!entry.startsWith("services/")) return [];
  const module = (await import(path)) as Readonly<Record<string, unknown>>;
  const definitions = Object.values(module) as { readonly name?: string; readonly port?: number }[];
  if (definitions.some((definition) => definition.name === name && definition.port === port)) return [];
  const what = `it does not define a service ${name} on port ${port}, as ${list} says`;
  return [{ file: entry, rule: "platform-list", what, fix: "make name and port the same in both" }];
}

interface ComposeService {
  readonly command?: string;
  readonly healthcheck?: { readonly test?: readonly string[] };
}

function composeFindings(root: string, platform: readonly PlatformService[]): Finding[] {
  if (!existsSync(join(root, compose))) return [];
  const { services = {} } = parse(readFileSync(join(root, compose), "utf8"), { merge: true }) as {
    services?: Readonly<Record<string, ComposeService>>;
  };
  return platform.flatMap(({ name, entry, port }) => {
    const folder = entry.replace(/\/service\.ts$/, "");
    const composed = services[name];
    const finding = (what: string, fix: string): Finding => ({ file: compose, rule: "compose", what, fix });
    if (composed === undefined) return [finding(`it does not run ${name}`, `add ${name} with \`command: ${folder}\``)];
    const ready = `http://127.0.0.1:${port + 1000}/readyz`;
    return [
      ...(composed.command === folder ? [] : [finding(`${name} runs ${composed.command}`, `make it \`command: ${folder}\``)]),
      ...(composed.healthcheck?.test?.some((word) => word.includes(ready)) === true
        ? []
        : [finding(`${name}'s health check does not ask ${ready}`, "ask that address, as the other services do")]),
    ];
  });
}

/** consul/seed.ts makes a key of every contract that a service config names. */
function seedFindings(root: string, files: FileRegistry): Finding[] {
  const configs = readdirSync(join(root, "proto"), { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith("service-config.json"),
  );
  return configs.flatMap((config) => {
    const file = `proto/${config.replaceAll("\\", "/")}`;
    let named: readonly string[];
    try {
      named = contractsOf(readFileSync(join(root, file), "utf8"));
    } catch (error) {
      return [{ file, rule: "consul-seed", what: `it cannot be read: ${String(error)}`, fix: "make it JSON" }];
    }
    return named
      .filter((contract) => files.getService(contract) === undefined)
      .map((contract) => ({
        file,
        rule: "consul-seed",
        what: `it would seed a key for ${contract}, which is no contract`,
        fix: "correct the name, or drop it",
      }));
  });
}
