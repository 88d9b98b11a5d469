import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { explainMethod } from "#mesh/policy/explain.ts";
import { methodConfigOf, parseServiceConfig, type ServiceConfig } from "#mesh/policy/service-config.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { tableLines } from "../terminal/table.ts";
import { findMethod, loadContracts } from "./contracts.ts";
import { commandLog, platformRegistry } from "./platform-registry.ts";

/** How long the registry may take to answer before the file alone is explained, in milliseconds. */
const registryPatienceMs = 1500;

/**
 * `heddle config explain`: the policy that holds for a method now, each value with its source: the registry's key, which overrides
 * the file as a whole, the file beside the contract, or Heddle's default.
 *
 * @throws Failure for a method that does not exist. A config that is refused is explained by its mistakes.
 */
export async function configExplain(context: CommandContext, name: string): Promise<number> {
  const method = findMethod(loadContracts(context.root), name);
  const contract = method.parent.typeName;
  const folder = contract.split(".").slice(0, -1);
  const file = join("proto", ...folder, "service-config.json");
  const key = `heddle/service-config/${contract}`;
  const { value, note } = await keyOf(context, key);
  const path = join(context.root, file);
  const config =
    value !== undefined
      ? parse(value, `Consul KV ${key}`, (service) => service === contract, `contract ${contract}`)
      : parse(
          existsSync(path) ? readFileSync(path, "utf8") : "{}",
          file,
          (service) => service.split(".").slice(0, -1).join(".") === folder.join("."),
          `a contract of package ${folder.join(".")}`,
        );
  const { out, paint } = context;
  const idempotent = method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  const { source } = methodConfigOf(config, contract, method.name);
  const origin = value !== undefined ? `Consul KV ${key}` : existsSync(path) ? file : `the defaults, as there is no ${file}`;
  out.write(`${paint.bold(`${contract}/${method.name}`)}\n`);
  out.write(`from ${origin}${note}, version ${config.version}, entry ${source}\n\n`);
  const rows = explainMethod(config, contract, method.name, idempotent);
  for (const line of tableLines(rows.map((row) => [row.key, row.value, paint.dim(row.from)]))) out.write(`${line}\n`);
  return 0;
}

/** Checks the document as services do, so that what they refuse is refused here. */
function parse(text: string, origin: string, contract: (name: string) => boolean, expected: string): ServiceConfig {
  try {
    return parseServiceConfig(JSON.parse(text), { covers: { contract, expected } });
  } catch (error) {
    throw new Failure(`${origin} is refused, so services keep the last good one:\n${messageOf(error)}`, 1, error);
  }
}

async function keyOf(context: CommandContext, key: string): Promise<{ value: string | undefined; note: string }> {
  await using registry = await platformRegistry(context, commandLog(context));
  const patience = new AbortController();
  try {
    const late = sleep(registryPatienceMs, "late", { signal: patience.signal }).catch(() => undefined);
    const asked = registry.getKey(key).then((value) => ({ value }));
    const answer = await Promise.race([asked, late]);
    if (typeof answer === "object") return { value: answer.value, note: "" };
  } catch {
    // Away: explained below as if it had not answered in time.
  } finally {
    patience.abort();
  }
  return { value: undefined, note: " (the registry does not answer, so an override there is not seen)" };
}
