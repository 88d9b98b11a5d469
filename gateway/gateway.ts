/**
 * The gateway: REST in, gRPC out. `startGateway` compiles the table and listens; `serve` below is a request's walk, a step a
 * line, each in the file of its name.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { notFound } from "#mesh/errors.ts";
import { createAccessLog } from "./access-log.ts";
import { type Admission, createAdmission } from "./admit.ts";
import { reportRefusal } from "./audit.ts";
import { type Authenticator, createAuthenticator } from "./authenticate.ts";
import { refuseBatchedStream } from "./batch.ts";
import type { Contracts } from "./contracts.ts";
import { corsHeaders, preflightHeaders } from "./cors.ts";
import { deprecationHeaders } from "./deprecation.ts";
import { docsEndpoints } from "./docs.ts";
import { type Duties, monolithGroup, openDuties, passToMonolith } from "./duties.ts";
import { writeAnswer } from "./encode.ts";
import { checkOperator, type Endpoint, ownEndpoints, refuseBody } from "./endpoints.ts";
import type { Exchange } from "./exchange.ts";
import { beginCall, type ForwardOptions } from "./forward.ts";
import type { GatewayOptions } from "./gateway-options.ts";
import { watchMesh } from "./health.ts";
import { limitsOf } from "./limits.ts";
import { checkHead, listen } from "./listener.ts";
import { followContracts, type LivePlan } from "./live-plan.ts";
import { rpcMetadata } from "./metadata.ts";
import { preferredType } from "./negotiate.ts";
import { breakOff, isGone } from "./outgoing.ts";
import { identified, permit } from "./permit.ts";
import { compilePlan, type Plan, type Target } from "./plan.ts";
import { representedBy } from "./representation.ts";
import { type RestParts, serveRest } from "./rest.ts";
import type { RouteMatch, Router } from "./router.ts";
import { type RpcSteps, serveRpc } from "./rpc.ts";
import { httpMethodsOf, rpcRequestOf } from "./rpc-protocol.ts";
import { answerError, httpError } from "./status.ts";
import { createWebSockets } from "./web-socket.ts";

/** A gateway that listens. */
export interface Gateway {
  readonly port: number;
  /** `http://host:port` */
  readonly address: string;
  /** Takes no new connections, finishes what is in flight for at most `ms` milliseconds, closes. */
  drain(ms: number): Promise<void>;
}

/** All that the steps need: made once, with the plan that holds when the request starts. */
interface Parts {
  readonly options: GatewayOptions;
  readonly plan: Plan;
  /** What calls over REST need beside the plan. */
  readonly rest: Omit<RestParts, "reading" | "types">;
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
  const { mesh, contracts, openByDefault = false, clock = Date.now } = options;
  let draining = false;
  const admission = createAdmission(options.rateLimit, options.maxConcurrent, options.duties?.rateLimiter);
  const accessLog = createAccessLog(options.log, options.metrics.meter);
  const heads = { trustedHops: options.trustedHops ?? 0, tracer: options.tracing.tracer, clock };
  const finish = (exchange: Exchange) => {
    duties.stats.end(exchange);
    accessLog(exchange);
  };
  const { maxBytes, timeoutMs } = limitsOf(options);
  const duties = await openDuties(
    options.duties ?? {},
    {
      ...{ maxBytes, timeoutMs, exchange: heads },
      // One request of a batch: the same walk, without a socket.
      async serve(exchange) {
        await begin(exchange);
        finish(exchange);
      },
    },
    { meter: options.metrics.meter, clock },
  );
  const view = watchMesh({
    registry: options.registry,
    contracts: () => live.current.names,
    report: () => live.report(),
    breakers: () => mesh.breakers(),
  });
  const docs = options.docs === false ? [] : docsEndpoints({ title: options.title ?? "API", openByDefault });
  const own = [...ownEndpoints({ mesh, view, draining: () => draining }), ...duties.endpoints, ...docs];
  const compile = (changed: Contracts) => compilePlan(changed, own, options.templates);
  let live: LivePlan;
  let begin: (exchange: Exchange) => Promise<void>;
  try {
    live = followContracts({ contracts, compile, log: options.log, clock });
    const shared = {
      options,
      rest: { ...restParts(options), duties },
      authenticator: createAuthenticator(options),
      admission,
      forward: { transport: mesh.transport, passAuthorization: options.verifier === undefined, clock },
      duties,
      clock,
    };
    // The only look at the current plan that a request takes.
    begin = (exchange) => handle({ ...shared, plan: live.current }, exchange);
    const listener = await listen({
      host: options.host,
      port: options.port,
      ...heads,
      accessLog: finish,
      log: options.log,
      handle: begin,
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
    reportRefusal(parts.options.refusals, exchange);
    const { response, request } = exchange;
    if (response.headersSent || isGone(response)) {
      // Nobody reads it any more; the log should not say 200.
      if (!response.headersSent) response.statusCode = 499;
      breakOff(response);
      return;
    }
    const type = preferredType(request.headers.accept, ["application/json", "application/problem+json"]);
    const answer = answerError(error, { types: parts.plan.types, problem: type === "application/problem+json" });
    await writeAnswer(exchange, answer.status, { ...exchange.headers, ...answer.headers }, answer.body);
  }
}

/** A request's walk. */
async function serve(parts: Parts, exchange: Exchange): Promise<void> {
  const { options, plan, admission, duties } = parts;
  Object.assign(exchange.headers, corsHeaders(options.cors, exchange.request.headers));
  checkHead(exchange.request);
  using _place = disposable(admission.enter());

  const rpc = rpcRequestOf(plan.rpcs, exchange, () => plan.router.match(exchange.httpMethod, exchange.path));
  if (rpc !== undefined) {
    if (rpc.rpc !== undefined) {
      exchange.route = exchange.path;
      Object.assign(exchange.headers, deprecationHeaders(rpc.rpc.method));
      refuseBatchedStream(exchange.request, rpc.rpc);
    }
    using _seen = duties.stats.begin(exchange);
    exchange.error = await serveRpc(exchange, rpc, rpcSteps(parts, exchange));
    return;
  }
  const found = await routed(parts, exchange);
  if (found === undefined) return;
  exchange.route = found.entry.template.text;
  using _seen = duties.stats.begin(exchange);
  const target = found.entry.target;
  if (target.kind === "own") {
    await serveOwn(parts, exchange, target.endpoint, found.values);
    return;
  }
  const route = representedBy(target.route, exchange);
  exchange.rpc = `${route.method.parent.typeName}/${route.method.name}`;
  Object.assign(exchange.headers, deprecationHeaders(route.method));
  refuseBatchedStream(exchange.request, route);
  using call = beginMethod(parts, exchange, route.method, parts.forward);
  try {
    const who = await permit(parts, exchange, call, route);
    exchange.error = await serveRest(restOf(parts), { exchange, route, pathValues: found.values, call, who });
  } catch (error) {
    throw call.explain(error);
  }
}

function rpcSteps(parts: Parts, exchange: Exchange): RpcSteps {
  const { limits, reading, types } = restOf(parts);
  return {
    begin: (method) => beginMethod(parts, exchange, method, { ...parts.forward, metadata: rpcMetadata }),
    admit: (call, rpc) => permit(parts, exchange, call, rpc),
    stats: parts.duties.stats,
    limits,
    reading,
    types,
  };
}

function beginMethod({ options }: Parts, exchange: Exchange, method: DescMethod, forward: ForwardOptions) {
  const config = options.serviceConfigs.methodConfig(method.parent.typeName, method.name);
  return beginCall(exchange, method, config, forward);
}

/** The row for the request; undefined when it was an OPTIONS request, which is answered here. */
async function routed({ plan: { router, rpcs }, options, duties, admission, clock }: Parts, exchange: Exchange) {
  const { httpMethod, path, request } = exchange;
  if (httpMethod === "OPTIONS" && path === "*") {
    await writeAnswer(exchange, 204, exchange.headers, "");
    return undefined;
  }
  const matched = exchange.upgrade === undefined ? router.match(httpMethod, path) : matchStream(router, path);
  const unserved = matched.kind === "not-found" || matched.kind === "other-methods";
  const rpc = unserved && httpMethod === "OPTIONS" ? rpcs.get(path) : undefined;
  const found = rpc === undefined ? matched : ({ kind: "other-methods", allow: httpMethodsOf(rpc, matched) } as const);
  const rate = () => admission.rate(exchange.client.address, monolithGroup, clock());
  if (await passToMonolith(duties.monolith, exchange, found, rate)) return undefined;
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

/** The row for a WebSocket: that of GET, and where GET has none the first of another method that streams. */
function matchStream(router: Router<Target>, path: string): RouteMatch<Target> {
  const get = router.match("GET", path);
  if (get.kind !== "other-methods") return get;
  const others = get.allow.map((method) => router.match(method, path));
  return others.find((found) => found.kind === "found" && streams(found.entry.target)) ?? get;
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

function streams(target: Target): boolean {
  return target.kind === "rpc" && target.route.method.methodKind !== "unary";
}

function restParts(options: GatewayOptions): Omit<RestParts, "reading" | "types" | "duties"> {
  const { streams, cors, duties } = options;
  const limits = limitsOf(options);
  const sockets = createWebSockets({ maxBytes: limits.maxBytes, pingMs: streams?.pingMs ?? 20_000, cors });
  return { limits, timings: streams, sockets, emitDefaults: duties?.emitDefaults === true };
}

function restOf({ rest, plan, options }: Parts): RestParts {
  return { ...rest, reading: { types: plan.contracts.types, lenient: options.lenient === true }, types: plan.types };
}

function disposable(undo: () => void): Disposable {
  return { [Symbol.dispose]: undo };
}
