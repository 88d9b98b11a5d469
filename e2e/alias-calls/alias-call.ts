/** What a row of the example calls is. */

/** One call and what it must be answered. */
export interface AliasCall {
  /** The HTTP method and the path with its query. */
  readonly call: string;
  /** The method that the route leads to. */
  readonly rpc: string;
  /** The JSON body, none when left out. */
  readonly body?: unknown;
  /** The bearer token; default `{token}`, and none where it is empty. */
  readonly token?: string;
  /** The body as bytes of this media type. */
  readonly raw?: { readonly type: string; readonly text: string };
  /** The answer is a stream: its first line is what counts, and then the reader leaves. */
  readonly stream?: boolean;
  /** What it shows comes by an event: it is asked again, for a while, until it answers as it must. */
  readonly patient?: boolean;
  /** Default 200. */
  readonly status?: number;
  /** What the body must hold: objects may hold more than is named here, `anything` stands for any value that is there. */
  readonly answer?: unknown;
  /** Values for later rows: name -> path in the answer, such as `user.id` or `items.0.id`. */
  readonly keep?: Readonly<Record<string, string>>;
}

/** Stands for any value that is there. */
export const anything = "<anything>";
