/** JSON.rawJSON (ECMAScript's "JSON.parse source text access"), which TypeScript's library does not name yet. */

/** A number of JSON as it was written. */
export interface RawJson {
  readonly rawJSON: string;
}

const json = JSON as unknown as { rawJSON(text: string): RawJson; isRawJSON(value: unknown): boolean };

/** A value that JSON.stringify writes as `text`, which is a number of JSON. */
export function rawJson(text: string): RawJson {
  return json.rawJSON(text);
}

/** Whether the value is one of `rawJson`. */
export function isRawJson(value: unknown): value is RawJson {
  return json.isRawJSON(value);
}
