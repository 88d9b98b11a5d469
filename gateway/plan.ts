/**
 * What the gateway serves at one moment, compiled from contracts and never changed: a change of the contracts makes another
 * plan aside. A request takes the plan once, at its start, and ends on it whatever is swapped in meanwhile.
 */
import type { Registry } from "@bufbuild/protobuf";
import { ContractError, type Contracts } from "./contracts.ts";
import { besides, type Endpoint } from "./endpoints.ts";
import { compileRouter, type MatchOptions, RouteConflict, type RouteEntry, type Router } from "./router.ts";
import { type Route, type RouteOptions, routesOf } from "./routes.ts";
import { type Rpcs, rpcsOf } from "./rpc-protocol.ts";
import { detailTypes } from "./status.ts";

/** Where a row of the table leads. */
export type Target = { readonly kind: "rpc"; readonly route: Route } | { readonly kind: "own"; readonly endpoint: Endpoint };

/** A compiled set of contracts. */
export interface Plan {
  readonly contracts: Contracts;
  /** The routes of the contracts, in their order. */
  readonly routes: readonly RouteEntry<Route>[];
  /** The routes and, where they leave room, the gateway's own endpoints. */
  readonly router: Router<Target>;
  /** The methods by their gRPC path, for gRPC, gRPC-Web and Connect. */
  readonly rpcs: Rpcs;
  /** The types of Any and of error details. */
  readonly types: Registry;
  /** The full names of the contracts that have routes. */
  readonly names: readonly string[];
}

/**
 * Compiles contracts.
 *
 * @param own the gateway's own endpoints; one whose path a contract maps gives way
 * @throws ContractError naming every rule that cannot be served and all that conflict.
 */
export function compilePlan(contracts: Contracts, own: readonly RouteEntry<Endpoint>[], options?: RouteOptions): Plan {
  const routes = routesOf(contracts, options);
  return {
    contracts,
    routes,
    router: compile([...routes.map(rpcTarget), ...besides(own, routes).map(ownTarget)], options?.matching),
    rpcs: rpcsOf(contracts),
    types: detailTypes(contracts.types),
    names: [...new Set(routes.map(({ target }) => target.method.parent.typeName))],
  };
}

function compile(entries: readonly RouteEntry<Target>[], matching?: MatchOptions): Router<Target> {
  try {
    return compileRouter(entries, matching);
  } catch (error) {
    throw error instanceof RouteConflict ? new ContractError(error.mistakes) : error;
  }
}

function rpcTarget(entry: RouteEntry<Route>): RouteEntry<Target> {
  return { ...entry, target: { kind: "rpc", route: entry.target } };
}

function ownTarget(entry: RouteEntry<Endpoint>): RouteEntry<Target> {
  return { ...entry, target: { kind: "own", endpoint: entry.target } };
}
