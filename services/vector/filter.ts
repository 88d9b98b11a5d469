/** Conditions on metadata. Pure. */

/** A value that metadata can have, and that it is compared with. */
export type Plain = string | number | boolean | null;

/** Metadata, as JSON has it. */
export type Metadata = Readonly<Record<string, unknown>>;

/** A condition. It crosses to the thread of the indexes, so it holds data only. */
export type Condition =
  | {
      readonly kind: "equal" | "less" | "at-most" | "greater" | "at-least";
      readonly path: readonly string[];
      readonly value: Plain;
    }
  | { readonly kind: "in"; readonly path: readonly string[]; readonly values: readonly Plain[] }
  | { readonly kind: "exists"; readonly path: readonly string[] }
  | { readonly kind: "all" | "any"; readonly conditions: readonly Condition[] }
  | { readonly kind: "not"; readonly condition: Condition };

/** A test of metadata. */
export type Predicate = (metadata: Metadata | undefined) => boolean;

/** Makes the test of a condition. */
export function predicateOf(condition: Condition): Predicate {
  switch (condition.kind) {
    case "all": {
      const parts = condition.conditions.map(predicateOf);
      return (metadata) => parts.every((part) => part(metadata));
    }
    case "any": {
      const parts = condition.conditions.map(predicateOf);
      return (metadata) => parts.some((part) => part(metadata));
    }
    case "not": {
      const part = predicateOf(condition.condition);
      return (metadata) => !part(metadata);
    }
    case "exists":
      return (metadata) => valueAt(metadata, condition.path) !== undefined;
    case "in": {
      const values = new Set<unknown>(condition.values);
      return holding(condition.path, (value) => values.has(value));
    }
    case "equal":
      return holding(condition.path, (value) => value === condition.value);
    default:
      return holding(condition.path, comparison(condition.kind, condition.value));
  }
}

/** A test of the value at a path, or of one of its elements when that is a list. */
function holding(path: readonly string[], test: (value: unknown) => boolean): Predicate {
  return (metadata) => {
    const value = valueAt(metadata, path);
    return Array.isArray(value) ? value.some(test) : value !== undefined && test(value);
  };
}

/** Numbers compare with numbers, texts with texts; any other pair does not. */
function comparison(kind: "less" | "at-most" | "greater" | "at-least", bound: Plain): (value: unknown) => boolean {
  const compare = <T extends string | number>(value: T, than: T): boolean => {
    if (kind === "less") return value < than;
    if (kind === "at-most") return value <= than;
    return kind === "greater" ? value > than : value >= than;
  };
  if (typeof bound === "number") return (value) => typeof value === "number" && compare(value, bound);
  if (typeof bound === "string") return (value) => typeof value === "string" && compare(value, bound);
  return () => false;
}

/** The value at a path; a field whose own name has dots comes before one in an object. */
function valueAt(metadata: Metadata | undefined, path: readonly string[]): unknown {
  if (metadata === undefined) return undefined;
  if (path.length === 1) return ownValue(metadata, path[0] ?? "");
  const whole = ownValue(metadata, path.join("."));
  if (whole !== undefined) return whole;
  let at: unknown = metadata;
  for (const name of path) {
    if (typeof at !== "object" || at === null || Array.isArray(at)) return undefined;
    at = ownValue(at as Metadata, name);
  }
  return at;
}

function ownValue(object: Metadata, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
