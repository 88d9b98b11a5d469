/** One answer over REST, its JSON parsed. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // Whole bodies are compared with deepEqual; their shape is the test's to state.
  // biome-ignore lint/suspicious/noExplicitAny: a parsed JSON body has no type before the test states it
  readonly body: any;
}

/** What a request may carry beside its method and URL. */
export interface RequestParts {
  readonly token?: string;
  readonly apiKey?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends one request, with a JSON body where `body` is given. */
export async function request(method: string, url: string, parts: RequestParts = {}): Promise<Answer> {
  const headers = {
    ...(parts.token === undefined ? {} : { authorization: `Bearer ${parts.token}` }),
    ...(parts.apiKey === undefined ? {} : { "x-api-key": parts.apiKey }),
    ...(parts.body === undefined ? {} : { "content-type": "application/json" }),
    ...parts.headers,
  };
  const body = parts.body === undefined ? {} : { body: JSON.stringify(parts.body) };
  const response = await fetch(url, { method, headers, ...body, signal: AbortSignal.timeout(20_000) });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}
