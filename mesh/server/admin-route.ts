/** Routes that a service adds to its admin listener, for the operators of what it keeps. */
import { Code } from "@connectrpc/connect";
import { from } from "../errors.ts";

/** One route. Its answer goes to whoever reaches the admin listener, which asks for no credentials. */
export interface AdminRoute {
  readonly method: "GET" | "POST";
  /** Segments of one name in braces take any text: `/sagas/{id}/retry`. */
  readonly path: string;
  /** Answers with the body, as JSON. A ConnectError becomes its HTTP status: NOT_FOUND 404, FAILED_PRECONDITION and INVALID_ARGUMENT 400, ... */
  handle(request: AdminRequest): Promise<unknown>;
}

/** What a route is asked. */
export interface AdminRequest {
  /** The segments in braces, unescaped. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

/** The routes at a path, by method; undefined when there are none. */
export function routesAt(routes: readonly AdminRoute[], path: string): ReadonlyMap<string, BoundRoute> | undefined {
  const found = new Map<string, BoundRoute>();
  for (const route of routes) {
    const params = paramsOf(route.path, path);
    if (params !== undefined) found.set(route.method, { route, params });
  }
  return found.size === 0 ? undefined : found;
}

/** A route with the segments that it was found by. */
export interface BoundRoute {
  readonly route: AdminRoute;
  readonly params: AdminRequest["params"];
}

/** The answer of a route: the HTTP status, and what becomes JSON. Errors that are no refusals are thrown. */
export async function answerOf(
  { route, params }: BoundRoute,
  query: URLSearchParams,
): Promise<{ status: number; value: unknown }> {
  try {
    return { status: 200, value: await route.handle({ params, query }) };
  } catch (thrown) {
    const error = from(thrown);
    const status = statuses.get(error.code);
    if (status === undefined) throw thrown;
    return { status, value: { error: error.rawMessage } };
  }
}

const statuses: ReadonlyMap<Code, number> = new Map([
  [Code.InvalidArgument, 400],
  [Code.FailedPrecondition, 400],
  [Code.NotFound, 404],
  [Code.Aborted, 409],
  [Code.Unavailable, 503],
  [Code.DeadlineExceeded, 504],
]);

function paramsOf(template: string, path: string): Record<string, string> | undefined {
  const [wanted, got] = [template.split("/"), path.split("/")];
  if (wanted.length !== got.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = got[index] ?? "";
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined) {
      if (segment !== value) return undefined;
      continue;
    }
    const text = unescaped(value);
    if (text === undefined || text === "") return undefined;
    params[name] = text;
  }
  return params;
}

function unescaped(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
