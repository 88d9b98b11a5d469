/** Keeps secrets out of the log: values are judged by the name that they stand under. */

/** What stands in the place of a secret. */
export const redacted = "[redacted]";

/** How deep an object is looked into; below that it is logged as it stands. Log values are flat, so this is plenty. */
const maxDepth = 6;

/**
 * `fields` with every secret replaced. A name is compared without case, dashes and underscores, so `X-API-Key`, `api_key` and
 * `apiKey` are one. Copies only what it changes; class instances other than plain objects and arrays stay as they are.
 */
export function redact(fields: Record<string, unknown>): Record<string, unknown> {
  return redactObject(fields, 0);
}

/** Whether a value under this name must not be logged. */
export function isSecretName(name: string): boolean {
  const plain = name.replace(/[-_\s]/g, "").toLowerCase();
  return !harmless.has(plain) && secretEndings.some((ending) => plain.endsWith(ending));
}

const secretEndings = [
  "authorization",
  "password",
  "passphrase",
  "secret",
  "token",
  "apikey",
  "privatekey",
  "cookie",
  "mfacode",
  "recoverycodes",
  "otpauthuri",
  "xheddlecaller",
];

/** Names that end like a secret and are none. */
const harmless = new Set(["pagetoken", "nextpagetoken"]);

function redactObject(fields: Record<string, unknown>, depth: number): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(fields)) {
    const clean = isSecretName(name) && value !== undefined ? redacted : redactValue(value, depth + 1);
    if (clean === value) continue;
    copy ??= { ...fields };
    copy[name] = clean;
  }
  return copy ?? fields;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > maxDepth) return value;
  if (Array.isArray(value)) {
    const clean = value.map((item) => redactValue(item, depth + 1));
    return clean.some((item, index) => item !== value[index]) ? clean : value;
  }
  return isPlain(value) ? redactObject(value, depth) : value;
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
