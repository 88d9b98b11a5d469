/** JSON text that says what the values are: JSON.stringify writes -0 as 0, which is another double. */
import type { JsonValue } from "@bufbuild/protobuf";

/** The JSON text of a value. */
export function stringifyExact(json: JsonValue): string {
  return hasNegativeZero(json) ? JSON.stringify(json, withNegativeZero) : JSON.stringify(json);
}

// A function for every value makes JSON.stringify several times slower, so it is given only where there is a -0.
function hasNegativeZero(json: JsonValue): boolean {
  if (typeof json === "number") return Object.is(json, -0);
  if (typeof json !== "object" || json === null) return false;
  if (Array.isArray(json)) return json.some(hasNegativeZero);
  for (const name in json) if (hasNegativeZero(json[name] ?? null)) return true;
  return false;
}

function withNegativeZero(_key: string, value: unknown): unknown {
  return Object.is(value, -0) ? negativeZero : value;
}

/** ES2026, which the compiler's library does not have yet. */
const negativeZero = (JSON as typeof JSON & { rawJSON(text: string): unknown }).rawJSON("-0");
