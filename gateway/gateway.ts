/**
 * The gateway: REST in, gRPC out. `startGateway` compiles the table and listens; `serve` below is a request's walk, a step a
 * line, each in the file of its name.
 */
import { Code } from "@connectrpc/connect";
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import type { ServiceConfigSource } from "#mesh/client/service-configs.ts";
import { notFound } from "#mesh/errors.ts";
import { checkAccess } from "#mesh/identity/access.ts";
import type { TokenVerifier } from "#mesh/identity/tokens.ts";
import type { Registry } from "#mesh/registry/registry.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { Metrics } from "#mesh/telemetry/metrics.ts";
import type { Tracing } from "#mesh/telemetry/trace.ts";
import { createAccessLog } from "./access-log.ts";
import { type Admission, createAdmission, rateGroup } from "./admit.ts";
import { ask } from "./ask.ts";
import { type Authenticator, clientKey, createAuthenticator, type Identity } from "./authenticate.ts";
import { refuseBatchedStream } from "./batch.ts";
import { bodyLimits, mediaTypeOf, readBody } from "./body.ts";
import type { Contracts } from "./contracts.ts";
import { type CorsOptions, corsHeaders, preflightHeaders } from "./cors.ts";
import { decoding } from "./decode.ts";
import { deprecationHeaders } from "./deprecation.ts";
import { type Duties, type DutyOptions, monolithGroup, openDuties, passToMonolith } from "./duties.ts";
import { encode, writeAnswer } from "./encode.ts";
import { checkOperator, type Endpoint, ownEndpoints, refuseBody } from "./endpoints.ts";
import type { Exchange } from "./exchange.ts";
import { beginCall, type ForwardOptions } from "./forward.ts";
import { watchMesh } from "./health.ts";
import { checkHead, listen } from "./listener.ts";
import { preferredType } from "./negotiate.ts";
import { compilePlan, type Plan } from "./plan.ts";
import type { RateLimit } from "./rate-limiter.ts";
import type { Route, RouteOptions } from "./routes.ts";
import { takeSelection } from "./selection.ts";
import { shapeFor } from "./shape.ts";
import { inSlices } from "./slices.ts";
import { answerError, httpError } from "./status.ts";
import { encodeStream, type StreamTimings } from "./stream.ts";

/** What the gateway runs on. */
export interface GatewayOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly contracts: Contracts;
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
  /** True: methods without an access rule are open. Default: they are refused to everybody. */
  readonly openByDefault?: boolean;
  readonly cors?: CorsOptions;
  /** Default 2,000 requests per second and 4,000 at once, for each client and contract. */
  readonly rateLimit?: RateLimit;
  /** Requests at work at once; above it 503. Default 10,000. */
  readonly maxConcurrent?: number;
  /** How many proxies stand in front and add to X-Forwarded-For. Default 0: the header is not believed. */
  readonly trustedHops?: number;
  /** Bytes of a request's body. Default 4 MiB. */
  readonly maxBodyBytes?: number;
  /** Milliseconds for a body to arrive. Default 30,000. */
  readonly bodyTimeoutMs?: number;
  /** True: names that the contract does not know are skipped instead of refused. Default false. */
  readonly lenient?: boolean;
  readonly templates?: RouteOptions;
  readonly streams?: StreamTimings;
  readonly duties?: DutyOptions;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly clock?: () => number;
}

/** A gateway that listens. */
export interface Gateway {
  readonly port: number;
  /** `http://host:port` */
  readonly address: string;
  /** Takes no new connections, finishes what is in flight for at most `ms` milliseconds, closes. */
  drain(ms: number): Promise<void>;
}

/** All that the steps need, made once for each plan. A request takes its parts at its start and keeps them. */
interface Parts {
  readonly options: GatewayOptions;
  readonly plan: Plan;
  readonly authenticator: Authenticator;
  readonly admission: Admission;
  readonly forward: ForwardOptions;
  readonly duties: Duties;
  readonly clock: () => number;
}

/**
 * Compiles the contracts' table and listens. No backend is waited for: calls to one that is away answer 503.
 *
 * @throws ContractError naming every rule that cannot be served, or the error of the socket (EADDRINUSE).
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { mesh, contracts, clock = Date.now } = options;
  let draining = false;
  const contractNames = () => parts?.plan.names ?? [];
  const view = watchMesh({ registry: options.registry, contracts: contractNames, breakers: () => mesh.breakers() });
  let parts: Parts | undefined;
  const admission = createAdmission(options.rateLimit, options.maxConcurrent, options.duties?.rateLimiter);
  const accessLog = createAccessLog(options.log, options.metrics.meter);
  const heads = { trustedHops: options.trustedHops ?? 0, tracer: options.tracing.tracer, clock };
  const finish = (exchange: Exchange) => {
    duties.stats.end(exchange);
    accessLog(exchange);
  };
  // One request of a batch: the same walk, without a socket.
  const serve = async (exchange: Exchange) => {
    if (parts !== undefined) await handle(parts, exchange);
    finish(exchange);
  };
  const duties = await openDuties(
    options.duties ?? {},
    { ...bodyLimits(options), exchange: heads, serve },
    { meter: options.metrics.meter, clock },
  );
  try {
    const own = [...ownEndpoints({ mesh, view, draining: () => draining }), ...duties.endpoints];
    const first: Parts = {
      options,
      plan: compilePlan(contracts, own, options.templates),
      authenticator: createAuthenticator(options),
      admission,
      forward: { transport: mesh.transport, passAuthorization: options.verifier === undefined, clock },
      duties,
      clock,
    };
    parts = first;
    const listener = await listen({
      host: options.host,
      port: options.port,
      ...heads,
      accessLog: finish,
      // The only look at the current plan that a request takes.
      handle: (exchange) => handle(parts ?? first, exchange),
    });
    return {
      port: listener.port,
      address: listener.address,
      async drain(ms) {
        draining = true;
        await listener.drain(ms);
        view[Symbol.dispose]();
        await duties[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    view[Symbol.dispose]();
    await duties[Symbol.asyncDispose]();
    throw error;
  }
}

async function handle(parts: Parts, exchange: Exchange): Promise<void> {
  try {
    await serve(parts, exchange);
  } catch (error) {
    exchange.error = error;
    const { response, request } = exchange;
    if (response.headersSent || response.destroyed) {
      // Nobody reads it any more; the log should not say 200.
      if (!response.headersSent) response.statusCode = 499;
      response.destroy();
      return;
    }
    const type = preferredType(request.headers.accept, ["application/json", "application/problem+json"]);
    const answer = answerError(error, { types: parts.plan.types, problem: type === "application/problem+json" });
    await writeAnswer(exchange, answer.status, { ...exchange.headers, ...answer.headers }, answer.body);
  }
}

/** A request's walk. */
async function serve(parts: Parts, exchange: Exchange): Promise<void> {
  const { options, plan, admission, authenticator, duties, clock } = parts;
  const { types } = plan;
  const { request } = exchange;
  Object.assign(exchange.headers, corsHeaders(options.cors, request.headers));
  checkHead(request);
  using _place = disposable(admission.enter());

  const found = await routed(parts, exchange);
  if (found === undefined) return;
  exchange.route = found.entry.template.text;
  using _seen = duties.stats.begin(exchange);
  const target = found.entry.target;
  if (target.kind === "own") {
    await serveOwn(parts, exchange, target.endpoint, found.values);
    return;
  }
  const { route } = target;
  const contract = route.method.parent.typeName;
  exchange.rpc = `${contract}/${route.method.name}`;
  Object.assign(exchange.headers, deprecationHeaders(route.method));
  refuseBatchedStream(request, route);

  const config = options.serviceConfigs.methodConfig(contract, route.method.name);
  using call = beginCall(exchange, route.method, config, parts.forward);
  try {
    const open = options.openByDefault === true && route.access === undefined;
    const who = await identified(parts, exchange, () => call.run(() => identify(authenticator, exchange, route, open)));
    if (!open) checkAccess(route.access, { principal: who.principal, caller: undefined });
    const group = rateGroup(contract, route.method.name, config.rateLimit);
    Object.assign(exchange.headers, await admission.rate(clientKey(who, exchange.client.address), group, clock()));

    const mediaType = mediaTypeOf(route, request);
    const body = await readBody(request, bodyLimits(options));
    const contentType = request.headers["content-type"] ?? "";
    const selection = takeSelection(route, exchange.query);
    const sent = { pathValues: found.values, query: selection.query, body, mediaType, contentType };
    const message = await inSlices(decoding(route, sent, { types: plan.contracts.types, lenient: options.lenient === true }));
    const answer = await ask(duties, { exchange, route, message, who, call, selection });
    const shown = shapeFor(route, request.headers.accept, options.duties?.emitDefaults);
    if (answer.kind === "unary") await encode(exchange, shown, answer, types);
    else exchange.error = await encodeStream(exchange, shown, answer, call, types, options.streams);
  } catch (error) {
    throw call.explain(error);
  }
}

/** The row for the request; undefined when it was an OPTIONS request, which is answered here. */
async function routed({ plan, options, duties, admission, clock }: Parts, exchange: Exchange) {
  const { httpMethod, path, request } = exchange;
  if (httpMethod === "OPTIONS" && path === "*") {
    await writeAnswer(exchange, 204, exchange.headers, "");
    return undefined;
  }
  const found = plan.router.match(httpMethod, path);
  if (
    await passToMonolith(duties.monolith, exchange, found, () => admission.rate(exchange.client.address, monolithGroup, clock()))
  )
    return undefined;
  switch (found.kind) {
    case "found":
      return found;
    case "malformed":
      throw httpError(400, Code.InvalidArgument, found.reason);
    case "not-found":
      throw notFound("the path", path.slice(0, 200));
    case "other-methods": {
      const allow = found.allow.join(", ");
      if (httpMethod !== "OPTIONS") {
        throw httpError(405, Code.Unimplemented, `${httpMethod} is not among the methods of this path: ${allow}`, { allow });
      }
      const preflight = preflightHeaders(options.cors, request.headers, found.allow);
      await writeAnswer(exchange, 204, { ...exchange.headers, allow, ...preflight }, "");
      return undefined;
    }
  }
}

async function serveOwn(parts: Parts, exchange: Exchange, endpoint: Endpoint, values: readonly string[]): Promise<void> {
  const { headers } = exchange.request;
  if (endpoint.access === "operator") {
    const who = await identified(parts, exchange, () => parts.authenticator.identify(headers, parts.clock()));
    checkOperator(who);
  }
  if (endpoint.takesBody !== true) refuseBody(headers["content-length"], headers["transfer-encoding"]);
  const answer = await endpoint.answer(values, { plan: parts.plan, headers, exchange });
  const [type, body] =
    "json" in answer ? [{ "content-type": "application/json" }, JSON.stringify(answer.json)] : [answer.headers, answer.body];
  await writeAnswer(exchange, answer.status, { ...exchange.headers, ...type }, body);
}

/** On a public method bad credentials are as good as none: signing in again must work with an old token in hand. */
async function identify(authenticator: Authenticator, exchange: Exchange, { access }: Route, open: boolean): Promise<Identity> {
  const identity = authenticator.identify(exchange.request.headers, exchange.receivedAt);
  const isPublic = open || access?.level === AccessLevel.PUBLIC;
  return isPublic ? identity.catch(() => ({ principal: undefined, own: false })) : identity;
}

/** Notes who it is; refusals count against the rate of their address, so that keys and tokens cannot be tried at speed. */
async function identified(parts: Parts, exchange: Exchange, find: () => Promise<Identity>): Promise<Identity> {
  try {
    const who = await find();
    exchange.principal = who.principal?.id ?? "";
    return who;
  } catch (error) {
    await parts.admission.rate(exchange.client.address, { name: "refused" }, parts.clock());
    throw error;
  }
}

function disposable(undo: () => void): Disposable {
  return { [Symbol.dispose]: undo };
}
