/** Why a method is treated as it is: every value that holds for it, and the place in the service config that it came from. */
import type { BreakerSettings } from "./breaker.ts";
import { idempotentRetryPolicy, type RetryPolicy } from "./retry.ts";
import { type MethodConfig, methodConfigOf, type ServiceConfig } from "./service-config.ts";
import { statusNames } from "./status-codes.ts";

/** One value that holds for a method. */
export interface Explained {
  /** The key of the service config that sets it, for example `retryPolicy.maxAttempts`. */
  readonly key: string;
  /** The value in the config's own form: `0.5s`, `50 %`, `UNAVAILABLE`; `none` when nothing is set. */
  readonly value: string;
  /** The JSON path that set it, `default`, or `default for idempotent methods`. */
  readonly from: string;
}

/**
 * Explains a method, in the order of `heddle config explain`. `idempotent` is whether the contract's `idempotency_level` lets the
 * method be retried without a retryPolicy; default false.
 */
export function explainMethod(config: ServiceConfig, contract: string, method: string, idempotent = false): readonly Explained[] {
  const settings = methodConfigOf(config, contract, method);
  const row = (key: string, value: string, ...paths: readonly string[]): Explained => {
    return { key, value, from: paths.find((path) => config.given.has(path)) ?? "default" };
  };
  const own = (key: string, value: unknown) => row(key, value === undefined ? "none" : shown(value), `${settings.source}.${key}`);
  return [
    own("timeout", seconds(settings.timeoutMs)),
    own("waitForReady", settings.waitForReady),
    own("maxRequestMessageBytes", settings.maxRequestBytes),
    own("maxResponseMessageBytes", settings.maxResponseBytes),
    ...retryRows(settings, idempotent, own),
    ...hedgingRows(settings, own),
    row("retryThrottling.maxTokens", shown(config.retryThrottling?.maxTokens), "retryThrottling.maxTokens"),
    row("retryThrottling.tokenRatio", shown(config.retryThrottling?.tokenRatio), "retryThrottling.tokenRatio"),
    ...breakerRows(config, contract, settings, row),
    own("concurrencyLimit", settings.concurrencyLimit),
    own("criticality", settings.criticality),
    own("rateLimit", settings.rateLimit),
    own("fault", settings.fault),
    row("loadBalancingConfig", config.balancer, "loadBalancingConfig", "loadBalancingPolicy"),
    config.outlierDetection === undefined
      ? row("outlierDetection", "none")
      : row("outlierDetection", shown(config.outlierDetection), "outlierDetection", "loadBalancingConfig"),
    row("healthCheckConfig.serviceName", shown(config.healthService), "healthCheckConfig.serviceName"),
  ];
}

type Row = (key: string, value: string, ...paths: readonly string[]) => Explained;
type Own = (key: string, value: unknown) => Explained;

function retryRows({ retry, hedging }: MethodConfig, idempotent: boolean, own: Own): readonly Explained[] {
  if (retry !== undefined) return retryKeys(retry).map(([key, value]) => own(`retryPolicy.${key}`, value));
  if (!idempotent || hedging !== undefined) return [own("retryPolicy", undefined)];
  return retryKeys(idempotentRetryPolicy).map(([key, value]) => {
    return { key: `retryPolicy.${key}`, value: shown(value), from: "default for idempotent methods" };
  });
}

function retryKeys(retry: RetryPolicy): readonly (readonly [string, unknown])[] {
  return [
    ["maxAttempts", retry.maxAttempts],
    ["initialBackoff", seconds(retry.initialBackoffMs)],
    ["maxBackoff", seconds(retry.maxBackoffMs)],
    ["backoffMultiplier", retry.backoffMultiplier],
    ["retryableStatusCodes", names(retry.retryableCodes)],
    ["perAttemptRecvTimeout", seconds(retry.perAttemptTimeoutMs)],
  ];
}

function hedgingRows({ hedging }: MethodConfig, own: Own): readonly Explained[] {
  if (hedging === undefined) return [own("hedgingPolicy", undefined)];
  return [
    own("hedgingPolicy.maxAttempts", hedging.maxAttempts),
    own("hedgingPolicy.hedgingDelay", seconds(hedging.hedgingDelayMs)),
    own("hedgingPolicy.nonFatalStatusCodes", hedging.nonFatalCodes.size === 0 ? "none" : names(hedging.nonFatalCodes)),
  ];
}

/** A method's own breaker is set in its entry; a shared one in the entry of the contract or of the empty name. */
function breakerRows(config: ServiceConfig, contract: string, settings: MethodConfig, row: Row): readonly Explained[] {
  const ofContract = config.methods.get(`${contract}/`) ?? config.methods.get("");
  const entry = settings.breakerKey === contract ? (ofContract?.source ?? "default") : settings.source;
  const rows = breakerKeys(settings.breaker).map(([key, value]) => {
    return row(`circuitBreaker.${key}`, shown(value), `${entry}.circuitBreaker.${key}`, `circuitBreaker.${key}`);
  });
  return [
    ...rows,
    { key: "circuitBreaker", value: `shared by ${settings.breakerKey}`, from: row("", "", `${entry}.circuitBreaker`).from },
  ];
}

function breakerKeys(breaker: BreakerSettings): readonly (readonly [string, unknown])[] {
  return [
    ["enabled", breaker.enabled],
    ["consecutiveFailures", breaker.consecutiveFailures],
    ["failureRateThreshold", percent(breaker.failureRate)],
    ["slowCallRateThreshold", percent(breaker.slowRate)],
    ["slowCallDuration", Number.isFinite(breaker.slowMs) ? seconds(breaker.slowMs) : undefined],
    ["minimumCalls", breaker.minimumCalls],
    ["window", breaker.window.kind === "count" ? `${breaker.window.calls} calls` : seconds(breaker.window.ms)],
    ["halfOpenCalls", breaker.probes],
    ["openTime", seconds(breaker.openMs)],
    ["openTimeGrowth", breaker.openGrowth],
    ["maxOpenTime", seconds(breaker.maxOpenMs)],
    ["openTimeJitter", percent(breaker.openJitter)],
    ["probeTimeout", seconds(breaker.probeTimeoutMs)],
  ];
}

function shown(value: unknown): string {
  if (value === undefined) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function seconds(ms: number | undefined): string | undefined {
  // Through a fixed number of decimals, since 1e-7 is no duration.
  return ms === undefined ? undefined : `${(ms / 1000).toFixed(9).replace(/\.?0+$/, "")}s`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(6))} %`;
}

function names(codes: ReadonlySet<number>): string {
  return [...codes].map((code) => statusNames[code]).join(", ");
}
