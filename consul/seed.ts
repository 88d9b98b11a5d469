/**
 * Puts every contract's service config into the key-value store, where it can be seen and changed while services run:
 *
 *   node consul/seed.ts              keys that exist stay as they are
 *   node consul/seed.ts --replace    keys that exist are set to the files' contents again
 *
 * It asks the Consul of CONSUL_HTTP_ADDR, by the other CONSUL_HTTP_* variables. A key holds over the file from then on:
 * delete it (`consul kv delete heddle/service-config/auth.v1.AuthService`) and the file holds again.
 */
import { readdir, readFile } from "node:fs/promises";
import { pino } from "pino";
import { readConfig, secret, text } from "#mesh/config.ts";
import { openConsul } from "#mesh/registry/consul.ts";

const settings = {
  address: text("CONSUL_HTTP_ADDR", "http://127.0.0.1:8500"),
  token: secret("CONSUL_HTTP_TOKEN", ""),
  datacenter: text("CONSUL_DATACENTER", ""),
  namespace: text("CONSUL_NAMESPACE", ""),
};

/** The contracts that a service config names, each once. */
export function contractsOf(config: string): string[] {
  const { methodConfig = [] } = JSON.parse(config) as { methodConfig?: { name?: { service?: string }[] }[] };
  const services = methodConfig.flatMap(({ name = [] }) => name.map(({ service = "" }) => service));
  return [...new Set(services)].filter((service) => service !== "");
}

async function seed(replace: boolean): Promise<void> {
  const values = Object.entries(readConfig(process.env, settings)).filter(([, value]) => value !== "");
  const { address = "", ...rest } = Object.fromEntries(values) as { address?: string; token?: string };
  await using registry = openConsul({ address, ...rest, log: pino({ level: "silent" }) });
  const root = new URL("../proto/", import.meta.url);
  const files = (await readdir(root, { recursive: true })).filter((path) => path.endsWith("service-config.json"));
  for (const file of files.sort()) {
    const config = await readFile(new URL(file.replaceAll("\\", "/"), root), "utf8");
    for (const contract of contractsOf(config)) {
      const key = `heddle/service-config/${contract}`;
      const exists = (await registry.getKey(key)) !== undefined;
      if (!exists || replace) await registry.setKey(key, config);
      console.log(`${exists ? (replace ? "replaced" : "kept") : "set"} ${key}`);
    }
  }
}

if (import.meta.main) {
  await seed(process.argv.includes("--replace")).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
