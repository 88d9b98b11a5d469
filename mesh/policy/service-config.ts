/**
 * The gRPC service config (gRFC A2, A6, A21, A50), checked whole before any of it is used, with Heddle's own keys beside gRPC's.
 *
 *     config  = { methodConfig: [entry], retryThrottling, loadBalancingConfig, loadBalancingPolicy, healthCheckConfig,
 *                 outlierDetection*, circuitBreaker* }
 *     entry   = { name: [{ service, method }], timeout, waitForReady, maxRequestMessageBytes, maxResponseMessageBytes,
 *                 retryPolicy | hedgingPolicy, circuitBreaker*, concurrencyLimit*, criticality*, rateLimit*, fault* }
 *
 * Keys with a star are Heddle's; gRPC's own readers ignore them. No other key is accepted: a typo would pass in silence.
 */
import type { Criticality } from "../context.ts";
import type { BalancerPolicy } from "./balancer.ts";
import { type BreakerSettings, defaultBreaker } from "./breaker.ts";
import type { RetryThrottling } from "./budget.ts";
import { readLoadBalancing, readOutlierDetection } from "./endpoint-config.ts";
import { JsonFields, type JsonMistake, type JsonReading } from "./json-fields.ts";
import { type MethodSettings, methodConfigKeys, readBreaker, readMethodConfig } from "./method-config.ts";
import type { RetryPolicy } from "./retry.ts";

/** What parseServiceConfig is told besides. */
export interface ParseOptions {
  /** Whether a method exists; asked with method "" for the contract itself. Default: everything exists. */
  readonly known?: (contract: string, method: string) => boolean;
  /** Which contracts the document is read for, and how a mistake calls them. Default: all. */
  readonly covers?: { readonly contract: (contract: string) => boolean; readonly expected: string };
}

/** Checks a service config whole. @throws ServiceConfigError naming every mistake with its JSON path, what was expected, and what came. */
export function parseServiceConfig(json: unknown, options: ParseOptions = {}): ServiceConfig {
  const reading: JsonReading = { mistakes: [], given: new Set() };
  const config = readConfig(new JsonFields(reading, "$", json, configKeys), reading, options);
  if (reading.mistakes.length > 0) throw new ServiceConfigError(reading.mistakes);
  return { ...config, version: fingerprint(JSON.stringify(json)) };
}

/**
 * What holds for a method: its own entry, else its service's, else that of the empty name, else the defaults. Entries are never
 * merged (A2), but for the breaker: a method without its own shares its contract's. The same object for every call.
 */
export function methodConfigOf(config: ServiceConfig, contract: string, method: string): MethodConfig {
  const key = `${contract}/${method}`;
  const resolved = resolvedByConfig.get(config) ?? new Map<string, MethodConfig>();
  resolvedByConfig.set(config, resolved);
  const found = resolved.get(key) ?? resolve(config, contract, method);
  resolved.set(key, found);
  return found;
}

/** A checked service config. Immutable; a change is a new object, so that a call sees one version from start to end. */
export interface ServiceConfig {
  /** 16 hex digits that change with the JSON (FNV-1a), for logs and `heddle config explain`; `default` for none. */
  readonly version: string;
  /** The entries, by `service/method`, `service/` and `` (the empty name); look up by methodConfigOf. */
  readonly methods: ReadonlyMap<string, MethodSettings>;
  /** What holds for a method that no entry matches. */
  readonly fallback: MethodSettings;
  /** The throttle of retries for all methods together; undefined for none. */
  readonly retryThrottling: RetryThrottling | undefined;
  /** The breaker of entries without their own `circuitBreaker`. Default `defaultBreaker`. */
  readonly breaker: BreakerSettings;
  /** The first entry of loadBalancingConfig that Heddle has. Default `p2c`. */
  readonly balancer: BalancerPolicy;
  /** Ejection of outliers (A50); undefined for none. */
  readonly outlierDetection: OutlierSettings | undefined;
  /** The service name to watch by grpc.health.v1 (A17); undefined for no watch. */
  readonly healthService: string | undefined;
  /** The JSON path of every key that the document sets; all else is a default. */
  readonly given: ReadonlySet<string>;
}

/** What holds for one method. */
export interface MethodConfig {
  /** Milliseconds for the whole call, all attempts together; undefined for no limit of its own. */
  readonly timeoutMs: number | undefined;
  /** True: wait for an endpoint until the deadline instead of failing at once. Default false. */
  readonly waitForReady: boolean;
  readonly retry: RetryPolicy | undefined;
  readonly hedging: HedgingPolicy | undefined;
  /** Bytes of one request message, uncompressed; undefined for no limit of its own. */
  readonly maxRequestBytes: number | undefined;
  /** Bytes of one response message, uncompressed; undefined for no limit of its own. */
  readonly maxResponseBytes: number | undefined;
  readonly breaker: BreakerSettings;
  /** Calls with the same key share a service breaker: the contract, or `contract/method` when the method has its own settings. */
  readonly breakerKey: string;
  readonly concurrencyLimit: ConcurrencyLimitSettings | undefined;
  /** Overrides the criticality of the context for calls of this method; undefined: the context's. */
  readonly criticality: Criticality | undefined;
  readonly rateLimit: RateLimitSettings | undefined;
  readonly fault: FaultSettings | undefined;
  /** Where the entry stands, for example `methodConfig[1]`; `default` when no entry matched. */
  readonly source: string;
}

/** hedgingPolicy (A6). */
export interface HedgingPolicy {
  /** Attempts in all, 2 to 5. */
  readonly maxAttempts: number;
  /** Milliseconds between attempts; 0 sends all at once. Default 0. */
  readonly hedgingDelayMs: number;
  /** gRPC status codes that do not end the call but send the next attempt at once. */
  readonly nonFatalCodes: ReadonlySet<number>;
}

/** concurrencyLimit: a bulkhead. */
export interface ConcurrencyLimitSettings {
  /** Calls at the same time. */
  readonly maxConcurrent: number;
  /** Calls that wait for a place. Default 0. */
  readonly maxQueued: number;
}

/** rateLimit: a token bucket that the gateway keeps for each of its clients. */
export interface RateLimitSettings {
  readonly perSecond: number;
  /** Calls at once after a pause. Default perSecond, at least 1. */
  readonly burst: number;
}

/** fault: faults injected on purpose, for tests. Shares are from 0 to 1. */
export interface FaultSettings {
  readonly delay: { readonly ms: number; readonly share: number } | undefined;
  readonly abort: { readonly code: number; readonly share: number } | undefined;
}

/** outlierDetection with the defaults of A50. */
export interface OutlierSettings {
  /** Default 10,000. */
  readonly intervalMs: number;
  /** Default 30,000. */
  readonly baseEjectionMs: number;
  /** Default 300,000. */
  readonly maxEjectionMs: number;
  /** Share of the endpoints that may be ejected at once. Default 0.1. */
  readonly maxEjectedShare: number;
  /** Undefined for none. Defaults: factor 1900 (thousandths), enforced share 1, 5 hosts, 100 requests. */
  readonly successRate:
    | {
        readonly stdevFactor: number;
        readonly enforcedShare: number;
        readonly minimumHosts: number;
        readonly requestVolume: number;
      }
    | undefined;
  /** Undefined for none. Defaults: threshold 0.85, enforced share 1, 5 hosts, 50 requests. */
  readonly failurePercentage:
    | {
        readonly threshold: number;
        readonly enforcedShare: number;
        readonly minimumHosts: number;
        readonly requestVolume: number;
      }
    | undefined;
}

/** Thrown by parseServiceConfig: every mistake, one line each. */
export class ServiceConfigError extends Error {
  override readonly name = "ServiceConfigError";
  readonly mistakes: readonly JsonMistake[];

  constructor(mistakes: readonly JsonMistake[]) {
    super(mistakes.map(({ path, expected, got }) => `${path}: expected ${expected}, got ${got}`).join("\n"));
    this.mistakes = mistakes;
  }
}

const configKeys = [
  ...["methodConfig", "retryThrottling", "loadBalancingConfig", "loadBalancingPolicy", "healthCheckConfig"],
  ...["outlierDetection", "circuitBreaker"],
];

/** The config of a contract that has none: no timeout, no retryPolicy, the default breaker, p2c. */
export const defaultServiceConfig: ServiceConfig = { ...parseServiceConfig({}), version: "default" };

function readConfig(fields: JsonFields, reading: JsonReading, options: ParseOptions): Omit<ServiceConfig, "version"> {
  const breaker = readBreaker(fields, defaultBreaker);
  const balancing = readLoadBalancing(fields);
  // The plain list wins over the deprecated name, as in gRPC's own readers.
  const named = fields.value("loadBalancingPolicy", "ROUND_ROBIN", (value) =>
    typeof value === "string" && value.toLowerCase() === "round_robin" ? ("round_robin" as const) : undefined,
  );
  return {
    methods: readMethods(fields, breaker, options),
    fallback: { ...readMethodConfig(new JsonFields(reading, "$", {}, []), breaker), source: "default" },
    retryThrottling: readThrottling(fields),
    breaker,
    balancer: balancing?.balancer ?? named ?? "p2c",
    outlierDetection: readOutlierDetection(fields, "outlierDetection") ?? balancing?.outlierDetection,
    healthService: fields.object("healthCheckConfig", ["serviceName"])?.text("serviceName"),
    given: reading.given,
  };
}

function readMethods(
  fields: JsonFields,
  breaker: BreakerSettings,
  { known, covers }: ParseOptions,
): ReadonlyMap<string, MethodSettings> {
  const methods = new Map<string, MethodSettings>();
  for (const entry of fields.objects("methodConfig", methodConfigKeys)) {
    const settings = readMethodConfig(entry, breaker);
    for (const name of entry.objects("name", ["service", "method"], { required: true, notEmpty: true })) {
      const service = name.text("service") ?? "";
      const method = name.text("method") ?? "";
      const key = service === "" && method === "" ? "" : `${service}/${method}`;
      const earlier = methods.get(key);
      if (service === "" && method !== "") name.refuse("method", "no method without a service");
      else if (earlier !== undefined) name.refuseAll(`a name that is not yet in ${earlier.source}`);
      else if (service !== "" && covers?.contract(service) === false) name.refuse("service", covers.expected);
      else if (service !== "" && known?.(service, "") === false) name.refuse("service", "a contract that exists");
      else if (method !== "" && known?.(service, method) === false) name.refuse("method", `a method of ${service}`);
      else methods.set(key, settings);
    }
  }
  return methods;
}

const resolvedByConfig = new WeakMap<ServiceConfig, Map<string, MethodConfig>>();

function resolve({ methods, fallback, breaker }: ServiceConfig, contract: string, method: string): MethodConfig {
  const ofMethod = methods.get(`${contract}/${method}`);
  const ofContract = methods.get(`${contract}/`) ?? methods.get("");
  const { ownBreaker, ...settings } = ofMethod ?? ofContract ?? fallback;
  if (ofMethod !== undefined && ownBreaker && method !== "") return { ...settings, breakerKey: `${contract}/${method}` };
  // One breaker has one set of settings, so an entry for the contract speaks for all methods that share the contract's.
  return { ...settings, breaker: ofContract?.ownBreaker === true ? ofContract.breaker : breaker, breakerKey: contract };
}

function readThrottling(fields: JsonFields): RetryThrottling | undefined {
  const throttling = fields.object("retryThrottling", ["maxTokens", "tokenRatio"]);
  if (throttling === undefined) return undefined;
  const maxTokens = throttling.integer("maxTokens", { min: 1, max: 1000, required: true }) ?? 1;
  // A6: decimals beyond the third are dropped. The hair keeps 1.001 * 1000 = 1000.9999999999999 from losing a whole step.
  const ratio = throttling.number("tokenRatio", { min: 0.001, required: true }) ?? 1;
  return { maxTokens, tokenRatio: Math.floor(ratio * 1000 + 1e-6) / 1000 };
}

/** FNV-1a, 64 bits: short, stable over processes, and no security hangs on it. */
function fingerprint(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let at = 0; at < text.length; at++) hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(at))) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
