/**
 * The environment, read once at boot into a frozen, typed object. Every mistake is found before any is reported, so that
 * one start shows them all: variable, what was expected, what was there.
 */

/** How one environment variable becomes a value. */
export interface Setting<T> {
  readonly variable: string;
  /** What the variable must look like, for the error message and the reference in the README. */
  readonly expected: string;
  /** The value when the variable is unset or empty; undefined means that the variable is required. */
  readonly fallback: { readonly value: T } | undefined;
  /** Reads the text; undefined when it is not what was expected. */
  readonly parse: (text: string) => T | undefined;
  /** True for passwords and keys: the error does not repeat what was there. */
  readonly secret: boolean;
}

/** A group of settings by the name that the code uses. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values of a group of settings. */
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** Thrown by readConfig: one line for each variable that is wrong. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`configuration:\n${mistakes.map((mistake) => `  ${mistake}`).join("\n")}`);
    this.mistakes = mistakes;
  }
}

/**
 * Reads `settings` from `env`.
 *
 * @throws ConfigError naming every variable that is missing or malformed.
 */
export function readConfig<S extends Settings>(env: Readonly<Record<string, string | undefined>>, settings: S): Values<S> {
  const values: Record<string, unknown> = {};
  const mistakes: string[] = [];
  for (const [name, setting] of Object.entries(settings)) {
    const text = env[setting.variable];
    if (text === undefined || text === "") {
      if (setting.fallback === undefined) mistakes.push(`${setting.variable}: expected ${setting.expected}, got nothing`);
      else values[name] = setting.fallback.value;
      continue;
    }
    const value = setting.parse(text);
    const got = setting.secret ? "something else (not shown)" : JSON.stringify(text);
    if (value === undefined) mistakes.push(`${setting.variable}: expected ${setting.expected}, got ${got}`);
    else values[name] = value;
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return Object.freeze(values) as Values<S>;
}

/** A text, as it stands. */
export function text(variable: string, fallback?: string): Setting<string> {
  return setting(variable, "a text", fallback, (value) => value);
}

/** A text that is not repeated in errors or logs. */
export function secret(variable: string, fallback?: string): Setting<string> {
  return { ...text(variable, fallback), secret: true };
}

/** A whole number from `min` to `max`, both included. */
export function integer(variable: string, min: number, max: number, fallback?: number): Setting<number> {
  return setting(variable, `a whole number from ${min} to ${max}`, fallback, (value) => {
    const number = Number(value);
    return /^-?\d+$/.test(value) && number >= min && number <= max ? number : undefined;
  });
}

/** A TCP port; 0 lets the system choose a free one. */
export function port(variable: string, fallback?: number): Setting<number> {
  return { ...integer(variable, 0, 65535, fallback), expected: "a port from 0 to 65535" };
}

/** A duration such as `250ms`, `10s`, `5m`, `2h`, `30d`, in milliseconds. `fallback` is written in the same form. */
export function duration(variable: string, fallback?: string): Setting<number> {
  const ms = fallback === undefined ? undefined : parseDuration(fallback);
  return setting(variable, "a duration such as 250ms, 10s, 5m, 2h or 30d", ms, parseDuration);
}

/** `true` or `false`. */
export function flag(variable: string, fallback?: boolean): Setting<boolean> {
  return setting(variable, "true or false", fallback, (value) =>
    value === "true" ? true : value === "false" ? false : undefined,
  );
}

/** One of the listed words. */
export function oneOf<const T extends string>(variable: string, words: readonly T[], fallback?: NoInfer<T>): Setting<T> {
  return setting(variable, `one of ${words.join(", ")}`, fallback, (value) => words.find((word) => word === value));
}

/** A URL with one of the listed schemes (`"postgres:"`); undefined when unset. Its password is not repeated in errors. */
export function optionalUrl(variable: string, ...schemes: readonly string[]): Setting<URL | undefined> {
  const parse = (value: string) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    return url !== undefined && schemes.includes(url.protocol) ? url : undefined;
  };
  return { variable, expected: `a URL with ${schemes.join(" or ")}`, fallback: { value: undefined }, parse, secret: true };
}

/** A list of texts separated by commas, blanks around them dropped; empty when unset. */
export function list(variable: string): Setting<readonly string[]> {
  return setting(variable, "a list separated by commas", [] as readonly string[], (value) =>
    value
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  );
}

function setting<T>(
  variable: string,
  expected: string,
  fallback: T | undefined,
  parse: (value: string) => T | undefined,
): Setting<T> {
  return { variable, expected, fallback: fallback === undefined ? undefined : { value: fallback }, parse, secret: false };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseDuration(value: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
  return match === null ? undefined : Number(match[1]) * (unitMs[match[2] ?? ""] ?? Number.NaN);
}
