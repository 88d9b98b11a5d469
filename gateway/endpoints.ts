/** The gateway's own endpoints, beside those of the contracts. A contract that maps the same path takes its place. */
import type { IncomingHttpHeaders } from "node:http";
import { Code } from "@connectrpc/connect";
import type { MeshClient } from "#mesh/client/client.ts";
import { notFound, permissionDenied, unauthenticated } from "#mesh/errors.ts";
import { scopeGrants } from "#mesh/identity/access.ts";
import type { Identity } from "./authenticate.ts";
import type { Exchange } from "./exchange.ts";
import type { MeshView } from "./health.ts";
import { parsePathTemplate, shapeOf } from "./path-template.ts";
import type { Plan } from "./plan.ts";
import type { RouteEntry } from "./router.ts";
import { httpError } from "./status.ts";

/** One endpoint of the gateway itself. */
export interface Endpoint {
  /** Who may call it: anybody, or one of the gateway's own API keys and administrators. */
  readonly access: "public" | "operator";
  /** True: it reads its body itself. Otherwise a request with a body is refused. */
  readonly takesBody?: boolean;
  answer(values: readonly string[], asked: Asked): EndpointAnswer | Promise<EndpointAnswer>;
}

/** What an endpoint knows of its request beside the values of its path. */
export interface Asked {
  /** The plan that the request began on. */
  readonly plan: Plan;
  readonly headers: IncomingHttpHeaders;
  readonly exchange: Exchange;
}

/** An answer: a JSON value, or a body as it is with the headers that describe it. */
export type EndpointAnswer =
  | { readonly status: number; readonly json: unknown }
  | { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string | Uint8Array };

/** What the endpoints tell of and act on. */
export interface EndpointParts {
  readonly mesh: Pick<MeshClient, "resetBreaker">;
  readonly view: MeshView;
  readonly draining: () => boolean;
}

/**
 * The endpoints:
 *
 *     GET  /health                          public; 503 only when the gateway itself ends
 *     GET  /registry                        public; every service with its instances and tags
 *     POST /circuit-breaker/reset/{service} operators; 404 for a service that has no breaker
 */
export function ownEndpoints({ mesh, view, draining }: EndpointParts): RouteEntry<Endpoint>[] {
  return [
    endpointAt("GET", "/health", "public", () => {
      const report = view.health(draining());
      return { status: report.status === "DOWN" ? 503 : 200, json: report };
    }),
    endpointAt("GET", "/registry", "public", () => ({ status: 200, json: { services: view.services() } })),
    endpointAt("POST", "/circuit-breaker/reset/{service}", "operator", ([service = ""]) => {
      if (!mesh.resetBreaker(service)) throw notFound("the circuit breaker of", service);
      return { status: 200, json: { service, state: "CLOSED" } };
    }),
  ];
}

/** The rows of `own` whose place no row of `contracts` takes. */
export function besides<A, B>(own: readonly RouteEntry<A>[], contracts: readonly RouteEntry<B>[]): RouteEntry<A>[] {
  const taken = new Set(contracts.map(({ httpMethod, template }) => `${httpMethod} ${shapeOf(template)}`));
  return own.filter(({ httpMethod, template }) => {
    return !taken.has(`${httpMethod} ${shapeOf(template)}`) && !taken.has(`* ${shapeOf(template)}`);
  });
}

/** @throws UNAUTHENTICATED or PERMISSION_DENIED for anybody but an administrator or one of the gateway's own keys. */
export function checkOperator({ principal, own }: Identity): void {
  if (own) return;
  if (principal === undefined)
    throw unauthenticated("SIGN_IN_REQUIRED", "sign in as an administrator, or send an API key of the gateway");
  if (!principal.roles.includes("admin")) throw permissionDenied("ROLE_REQUIRED", 'this endpoint needs the role "admin"');
  const { kind, scopes } = principal;
  // An administrator's key that was made for something else must not do this, too; as in access rules, one without scopes is unlimited.
  if (kind !== "api-key" || scopes.length === 0 || scopes.some((scope) => scopeGrants(scope, operatorScope))) return;
  throw permissionDenied("SCOPE_REQUIRED", `this endpoint needs an API key with the scope ${JSON.stringify(operatorScope)}`);
}

/** What an administrator's API key that has scopes must hold to change the gateway's state. */
const operatorScope = "gateway:operate";

/** @throws an error of status 400 when there is a body: none of these endpoints reads one. */
export function refuseBody(contentLength: string | undefined, transferEncoding: string | undefined): void {
  if (transferEncoding === undefined && Number(contentLength ?? 0) === 0) return;
  throw httpError(400, Code.InvalidArgument, "body: expected none", { connection: "close" });
}

/** A row of the table that leads to an endpoint. */
export function endpointAt(
  httpMethod: string,
  template: string,
  access: Endpoint["access"],
  answer: Endpoint["answer"],
): RouteEntry<Endpoint> {
  return { httpMethod, template: parsePathTemplate(template), target: { access, answer }, owner: "the gateway" };
}
