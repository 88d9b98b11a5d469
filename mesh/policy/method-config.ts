/** Reads one entry of a service config's `methodConfig` (gRFC A2, A6) with Heddle's own keys. */
import type { Criticality } from "../context.ts";
import type { BreakerSettings } from "./breaker.ts";
import { type JsonFields, uint32Max } from "./json-fields.ts";
import type { RetryPolicy } from "./retry.ts";
import type {
  ConcurrencyLimitSettings,
  FaultSettings,
  HedgingPolicy,
  MethodConfig,
  RateLimitSettings,
} from "./service-config.ts";
import { statusCodeOf } from "./status-codes.ts";
import type { WindowSettings } from "./window.ts";

/** The keys of an entry: gRPC's, then Heddle's. */
export const methodConfigKeys = [
  ...["name", "waitForReady", "timeout", "maxRequestMessageBytes", "maxResponseMessageBytes", "retryPolicy", "hedgingPolicy"],
  ...["circuitBreaker", "concurrencyLimit", "criticality", "rateLimit", "fault"],
];

/** What an entry sets for every method that it names; `breakerKey` depends on the method. */
export type MethodSettings = Omit<MethodConfig, "breakerKey"> & { readonly ownBreaker: boolean };

/** Reads an entry. `breaker` is what a circuitBreaker builds on, and what holds without one. */
export function readMethodConfig(entry: JsonFields, breaker: BreakerSettings): MethodSettings {
  if (entry.has("retryPolicy") && entry.has("hedgingPolicy")) {
    entry.refuse("hedgingPolicy", "no hedgingPolicy beside a retryPolicy");
  }
  return {
    timeoutMs: entry.duration("timeout"),
    waitForReady: entry.flag("waitForReady") ?? false,
    retry: readRetry(entry),
    hedging: readHedging(entry),
    maxRequestBytes: entry.integer("maxRequestMessageBytes", { min: 1, max: uint32Max }),
    maxResponseBytes: entry.integer("maxResponseMessageBytes", { min: 1, max: uint32Max }),
    breaker: readBreaker(entry, breaker),
    ownBreaker: entry.has("circuitBreaker"),
    concurrencyLimit: readConcurrencyLimit(entry),
    criticality: entry.oneOf("criticality", criticalities),
    rateLimit: readRateLimit(entry),
    fault: readFault(entry),
    source: entry.path,
  };
}

/** Reads `circuitBreaker` of an entry or of the whole config; what it does not set stays as in `base`. */
export function readBreaker(parent: JsonFields, base: BreakerSettings): BreakerSettings {
  const fields = parent.object("circuitBreaker", breakerKeys);
  if (fields === undefined) return base;
  const window = readWindow(fields) ?? base.window;
  const size = window.kind === "count" ? window.calls : uint32Max;
  return {
    enabled: fields.flag("enabled") ?? base.enabled,
    consecutiveFailures: fields.integer("consecutiveFailures", { min: 0, max: uint32Max }) ?? base.consecutiveFailures,
    failureRate: fields.percent("failureRateThreshold") ?? base.failureRate,
    slowRate: fields.percent("slowCallRateThreshold") ?? base.slowRate,
    slowMs: fields.duration("slowCallDuration") ?? base.slowMs,
    minimumCalls: fields.integer("minimumCalls", { min: 1, max: size }) ?? Math.min(base.minimumCalls, size),
    window,
    probes: fields.integer("halfOpenCalls", { min: 1, max: 1000 }) ?? base.probes,
    openMs: fields.duration("openTime") ?? base.openMs,
    openGrowth: fields.number("openTimeGrowth", { min: 1, max: 10 }) ?? base.openGrowth,
    maxOpenMs: fields.duration("maxOpenTime") ?? base.maxOpenMs,
    openJitter: fields.percent("openTimeJitter", 0) ?? base.openJitter,
    probeTimeoutMs: fields.duration("probeTimeout") ?? base.probeTimeoutMs,
  };
}

/** A gRPC status code but OK, by name in any case or by number. */
export const statusCodeWords = "status codes by name (UNAVAILABLE) or number (14), not OK";

const breakerKeys = [
  ...["enabled", "consecutiveFailures", "failureRateThreshold", "slowCallRateThreshold", "slowCallDuration", "minimumCalls"],
  ...["window", "halfOpenCalls", "openTime", "openTimeGrowth", "maxOpenTime", "openTimeJitter", "probeTimeout"],
];

const criticalities: readonly Criticality[] = ["CRITICAL_PLUS", "CRITICAL", "SHEDDABLE_PLUS", "SHEDDABLE"];

function readWindow(breaker: JsonFields): WindowSettings | undefined {
  const fields = breaker.object("window", ["calls", "duration"]);
  if (fields === undefined) return undefined;
  const calls = fields.integer("calls", { min: 1, max: 100_000 });
  const ms = fields.duration("duration");
  if (fields.has("calls") === fields.has("duration")) {
    breaker.refuse("window", 'either {"calls": 20} or {"duration": "10s"}');
    return undefined;
  }
  if (calls !== undefined) return { kind: "count", calls };
  return ms === undefined ? undefined : { kind: "time", ms };
}

function readRetry(entry: JsonFields): RetryPolicy | undefined {
  const keys = [
    "maxAttempts",
    "initialBackoff",
    "maxBackoff",
    "backoffMultiplier",
    "retryableStatusCodes",
    "perAttemptRecvTimeout",
  ];
  const fields = entry.object("retryPolicy", keys);
  if (fields === undefined) return undefined;
  return {
    maxAttempts: readMaxAttempts(fields),
    initialBackoffMs: fields.duration("initialBackoff", { required: true }) ?? 0,
    maxBackoffMs: fields.duration("maxBackoff", { required: true }) ?? 0,
    backoffMultiplier: fields.number("backoffMultiplier", { above: 0, required: true }) ?? 1,
    retryableCodes: new Set(fields.items("retryableStatusCodes", statusCodeWords, failureCodeOf, true)),
    perAttemptTimeoutMs: fields.duration("perAttemptRecvTimeout"),
  };
}

function readHedging(entry: JsonFields): HedgingPolicy | undefined {
  const fields = entry.object("hedgingPolicy", ["maxAttempts", "hedgingDelay", "nonFatalStatusCodes"]);
  if (fields === undefined) return undefined;
  const codes = fields.has("nonFatalStatusCodes") ? fields.items("nonFatalStatusCodes", statusCodeWords, failureCodeOf) : [];
  return {
    maxAttempts: readMaxAttempts(fields),
    hedgingDelayMs: fields.duration("hedgingDelay", { min: 0 }) ?? 0,
    nonFatalCodes: new Set(codes),
  };
}

/** gRFC A6: more than 5 means 5, so that a reader with a higher limit may share the config. */
function readMaxAttempts(policy: JsonFields): number {
  return Math.min(policy.integer("maxAttempts", { min: 2, max: uint32Max, required: true }) ?? 2, 5);
}

function failureCodeOf(value: unknown): number | undefined {
  const code = statusCodeOf(value);
  return code === 0 ? undefined : code;
}

function readConcurrencyLimit(entry: JsonFields): ConcurrencyLimitSettings | undefined {
  const fields = entry.object("concurrencyLimit", ["maxConcurrent", "maxQueued"]);
  if (fields === undefined) return undefined;
  return {
    maxConcurrent: fields.integer("maxConcurrent", { min: 1, max: uint32Max, required: true }) ?? 1,
    maxQueued: fields.integer("maxQueued", { min: 0, max: uint32Max }) ?? 0,
  };
}

function readRateLimit(entry: JsonFields): RateLimitSettings | undefined {
  const fields = entry.object("rateLimit", ["perSecond", "burst"]);
  if (fields === undefined) return undefined;
  const perSecond = fields.number("perSecond", { above: 0, max: 1e9, required: true }) ?? 1;
  return { perSecond, burst: fields.integer("burst", { min: 1, max: uint32Max }) ?? Math.max(1, Math.floor(perSecond)) };
}

function readFault(entry: JsonFields): FaultSettings | undefined {
  const fields = entry.object("fault", ["delay", "abort"]);
  if (fields === undefined) return undefined;
  if (!fields.has("delay") && !fields.has("abort")) entry.refuse("fault", "a delay, an abort or both");
  const delay = fields.object("delay", ["duration", "percentage"]);
  const abort = fields.object("abort", ["code", "percentage"]);
  return {
    delay: delay && { ms: delay.duration("duration", { required: true }) ?? 0, share: delay.percent("percentage") ?? 1 },
    abort: abort && {
      code: abort.value("code", `one of the ${statusCodeWords}`, failureCodeOf, true) ?? 2,
      share: abort.percent("percentage") ?? 1,
    },
  };
}
