/** Update masks (AIP-134). Pure. */
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalidArgument } from "#mesh/errors.ts";

/**
 * The fields that an update changes: those that the mask names, or all of `changeable` when it names none or `*`. Those in `outputOnly` may be
 * named, and are left as they are (AIP-203).
 *
 * @throws INVALID_ARGUMENT naming update_mask for any other.
 */
export function maskedFields<F extends string>(
  mask: FieldMask | undefined,
  changeable: readonly F[],
  outputOnly: readonly string[] = [],
): ReadonlySet<F> {
  const paths = mask?.paths ?? [];
  if (paths.length === 0 || paths.includes("*")) return new Set(changeable);
  const known: ReadonlySet<string> = new Set(changeable);
  const unknown = paths.find((path) => !known.has(path) && !outputOnly.includes(path));
  if (unknown !== undefined) {
    const description = `expected any of ${changeable.join(", ")}, got ${JSON.stringify(unknown)}`;
    throw invalidArgument([{ field: "update_mask", description }]);
  }
  return new Set(changeable.filter((field) => paths.includes(field)));
}
