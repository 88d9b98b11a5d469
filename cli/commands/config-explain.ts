import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { idempotentRetryPolicy } from "#mesh/policy/retry.ts";
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
  const file = join("proto", ...contract.split(".").slice(0, -1), "service-config.json");
  const key = `heddle/service-config/${contract}`;
  const { value, note } = await keyOf(context, key);
  const path = join(context.root, file);
  const text = value ?? (existsSync(path) ? readFileSync(path, "utf8") : "{}");
  const source = value === undefined ? file : `Consul KV ${key}`;
  const config = parse(text, source);
  const { out, paint } = context;
  out.write(`${paint.bold(name)}\nconfig ${config.version}, from ${source}${note}\n\n`);
  for (const line of tableLines(explain(config, method).map(([what, is, from]) => [what, is, paint.dim(from)])))
    out.write(`${line}\n`);
  return 0;
}

/** Rows of name, value, and where the value came from: a JSON path of the document, or `default`. */
export function explain(config: ServiceConfig, method: DescMethod): readonly (readonly [string, string, string])[] {
  const settings = methodConfigOf(config, method.parent.typeName, method.name);
  const entry = settings.source;
  const isGiven = (key: string) => [...config.given].some((path) => path === key || path.startsWith(`${key}.`));
  const from = (...keys: readonly string[]) => keys.find(isGiven) ?? "default";
  const ms = (value: number | undefined) => (value === undefined ? "none" : `${value} ms`);
  const idempotent = method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  const retry = settings.retry ?? (idempotent && settings.hedging === undefined ? idempotentRetryPolicy : undefined);
  const retrySource =
    settings.retry !== undefined ? from(`${entry}.retryPolicy`) : idempotent ? "default for idempotent methods" : "default";
  const json = (value: unknown) => (value === undefined ? "none" : JSON.stringify(value, (_key, part: unknown) => plain(part)));
  return [
    ["entry", entry, ""],
    ["timeout", ms(settings.timeoutMs), from(`${entry}.timeout`)],
    ["waitForReady", String(settings.waitForReady), from(`${entry}.waitForReady`)],
    ["retry", json(retry), retrySource],
    ["hedging", json(settings.hedging), from(`${entry}.hedgingPolicy`)],
    ["retryThrottling", json(config.retryThrottling), from("retryThrottling")],
    ["maxRequestMessageBytes", String(settings.maxRequestBytes ?? "none"), from(`${entry}.maxRequestMessageBytes`)],
    ["maxResponseMessageBytes", String(settings.maxResponseBytes ?? "none"), from(`${entry}.maxResponseMessageBytes`)],
    ...Object.entries(settings.breaker).map(
      ([what, value]) => [`circuitBreaker.${what}`, json(value), from(`${entry}.circuitBreaker`, "circuitBreaker")] as const,
    ),
    ["circuitBreaker shared by", settings.breakerKey, ""],
    ["concurrencyLimit", json(settings.concurrencyLimit), from(`${entry}.concurrencyLimit`)],
    ["criticality", settings.criticality ?? "the call's own", from(`${entry}.criticality`)],
    ["rateLimit", json(settings.rateLimit), from(`${entry}.rateLimit`)],
    ["fault", json(settings.fault), from(`${entry}.fault`)],
    ["balancer", json(config.balancer), from("loadBalancingConfig", "loadBalancingPolicy")],
    ["outlierDetection", json(config.outlierDetection), from("outlierDetection", "loadBalancingConfig")],
    ["healthCheck", config.healthService ?? "none", from("healthCheckConfig")],
  ];
}

/** What JSON has no form for. */
function plain(value: unknown): unknown {
  if (value instanceof Set) return [...value];
  return value === Number.POSITIVE_INFINITY ? "none" : value;
}

function parse(text: string, source: string): ServiceConfig {
  try {
    return parseServiceConfig(JSON.parse(text));
  } catch (error) {
    throw new Failure(`${source} is refused, so services keep the last good one:\n${messageOf(error)}`, 1, error);
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
