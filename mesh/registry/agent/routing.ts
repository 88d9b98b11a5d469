/** Requests to the agent's API, and which route takes them. */

/** One request, read whole. */
export interface Call {
  readonly method: string;
  /** The path as it came, escapes and all. */
  readonly path: string;
  /** What stood at the path's `:names`; the rest of the path is under `*`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Buffer;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** What a route answers. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; empty when neither is given. */
  readonly body?: Buffer | string;
}

/** One method of one path. */
export interface Route {
  readonly method: "GET" | "PUT" | "DELETE";
  /** Segments; `:name` takes one, a last `*` takes all that remains. */
  readonly path: string;
  /** What a blocking query waits for; a route without it does not block. */
  readonly topic?: (call: Call) => string;
  readonly answer: (call: Call) => Reply | Promise<Reply>;
}

/** The route that takes a method and path, and what it found there; else the methods that the path knows. */
export type Match =
  | { readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly route: undefined; readonly methods: readonly string[] };

/** JSON with status 200. */
export function ok(json: unknown): Reply {
  return { status: 200, json };
}

/** Finds the route for a raw path. The first that fits wins. @throws URIError on a bad escape. */
export function findRoute(routes: readonly Route[], method: string, path: string): Match {
  const fitting = routes.flatMap((route) => {
    const params = matchPath(route.path, path);
    return params === undefined ? [] : [{ route, params }];
  });
  const found = fitting.find(({ route }) => route.method === method);
  return found ?? { route: undefined, methods: fitting.map(({ route }) => route.method) };
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const expected = pattern.split("/");
  const got = path.split("/");
  const open = expected.at(-1) === "*";
  if (open ? got.length < expected.length : got.length !== expected.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, segment] of expected.entries()) {
    if (segment === "*") params["*"] = decodeURIComponent(got.slice(at).join("/"));
    else if (segment.startsWith(":")) params[segment.slice(1)] = decodeURIComponent(got[at] ?? "");
    else if (segment !== got[at]) return undefined;
  }
  return params;
}
