/** What a gateway is made with: startGateway in gateway.ts takes it. */
import type { MeshClient } from "#mesh/client/client.ts";
import type { ServiceConfigSource } from "#mesh/client/service-configs.ts";
import type { RefusalReporter } from "#mesh/identity/refusal-reporter.ts";
import type { TokenVerifier } from "#mesh/identity/tokens.ts";
import type { Registry } from "#mesh/registry/registry.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { Metrics } from "#mesh/telemetry/metrics.ts";
import type { Tracing } from "#mesh/telemetry/trace.ts";
import type { Contracts } from "./contracts.ts";
import type { CorsOptions } from "./cors.ts";
import type { DutyOptions } from "./duties.ts";
import type { RateLimit } from "./rate-limiter.ts";
import type { RouteOptions } from "./routes.ts";
import type { ContractSource } from "./sources/source.ts";
import type { StreamTimings } from "./stream.ts";

/** What the gateway runs on. */
export interface GatewayOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** What to serve, fixed or from a source that changes it while the gateway runs. A source stays its owner's to dispose. */
  readonly contracts: Contracts | ContractSource;
  readonly mesh: MeshClient;
  /** Undefined: no registry, so `/health` and `/registry` know no services. */
  readonly registry?: Registry;
  readonly serviceConfigs: ServiceConfigSource;
  /** Verifies access tokens. Undefined: Authorization goes to the backend, which judges it. */
  readonly verifier?: TokenVerifier;
  /** Exchanges an API key for an access token. */
  readonly exchangeApiKey?: (key: string) => Promise<string>;
  /** The gateway's own keys: `key`, `name:key` or `name:key:role|scope|...`. */
  readonly staticApiKeys?: readonly string[];
  /** Hears of requests that the gateway refused for who sent them. */
  readonly refusals?: Pick<RefusalReporter, "report">;
  /** True: methods without an access rule are open. Default: they are refused to everybody. */
  readonly openByDefault?: boolean;
  readonly cors?: CorsOptions;
  /** Default 2,000 requests per second and 4,000 at once, for each client and contract. */
  readonly rateLimit?: RateLimit;
  /** Requests at work at once; above it 503. Default 10,000. */
  readonly maxConcurrent?: number;
  /** How many proxies stand in front and add to X-Forwarded-For. Default 0: the header is not believed. */
  readonly trustedHops?: number;
  /** Bytes of a request's body, or of one message of a stream. Default 4 MiB. */
  readonly maxBodyBytes?: number;
  /** Milliseconds for a body to arrive. Default 30,000. */
  readonly bodyTimeoutMs?: number;
  /** True: names that the contract does not know are skipped instead of refused. Default false. */
  readonly lenient?: boolean;
  readonly templates?: RouteOptions;
  /** False: no `/openapi.json` and no `/docs`. Default true: everybody may read what there is to call. */
  readonly docs?: boolean;
  /** The title of both. Default `API`. */
  readonly title?: string;
  readonly streams?: StreamTimings;
  /** Batches, cache, stats, the way to a monolith. Default: all but the monolith. */
  readonly duties?: DutyOptions;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly clock?: () => number;
}
