/** Random values of every scalar type, with the edges of each more often than chance would have them. */
import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import type { Random } from "./random.ts";

/** A value of the type as messages hold it: 64-bit integers are bigint. */
export function randomScalar(random: Random, type: ScalarType): string | boolean | number | bigint | Uint8Array {
  switch (type) {
    case ScalarType.STRING:
      return randomText(random);
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.BYTES:
      return Uint8Array.from(random.times(random.below(9), () => random.below(256)));
    case ScalarType.DOUBLE:
      return random.chance(0.3) ? random.pick(doubles) : (random.next() - 0.5) * 10 ** random.below(20);
    case ScalarType.FLOAT:
      return random.chance(0.3) ? random.pick(floats) : Math.fround((random.next() - 0.5) * 10 ** random.below(20));
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return Number(integer(random, -(2n ** 31n), 2n ** 31n - 1n));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return Number(integer(random, 0n, 2n ** 32n - 1n));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integer(random, 0n, 2n ** 64n - 1n);
    default:
      return integer(random, -(2n ** 63n), 2n ** 63n - 1n);
  }
}

/** The number of a value of the enum; of an open one now and then a number that it does not name. */
export function randomEnum(random: Random, type: DescEnum): number {
  // ProtoJSON has one NullValue, null.
  if (type.open && type.typeName !== "google.protobuf.NullValue" && random.chance(0.1))
    return Number(integer(random, -(2n ** 31n), 2n ** 31n - 1n));
  return random.pick(type.values).number;
}

/** A key of a map. */
export function randomKey(random: Random, type: ScalarType): string | boolean | number | bigint {
  return randomScalar(random, type) as string | boolean | number | bigint;
}

/** A text, at times empty, often with characters that mean something to paths, queries, JSON or JavaScript. */
export function randomText(random: Random): string {
  if (random.chance(0.2)) return random.pick(texts);
  return random.times(random.below(8), () => random.pick(characters)).join("");
}

const characters = [..."abcXYZ0129 -._~:/?#[]@!$&'()*+,;=%\"\\<>{}|^`\n\t\u0000\u007fäß€語😀"];
const texts = ["", "__proto__", "constructor", "%2F", "%", "..", "null", "true", "0", "a/b", "\u2028", "\u{10ffff}", "a b"];
const doubles = [0, -0, 1, 0.1, 5e-324, 1.7976931348623157e308, -1e21, 2 ** 53, Number.NaN, Infinity, -Infinity];
const floats = [0, -0, 1, Math.fround(0.1), 1.401298464324817e-45, 3.4028234663852886e38, Number.NaN, Infinity, -Infinity];

function integer(random: Random, min: bigint, max: bigint): bigint {
  if (random.chance(0.2)) return random.pick([min, max, 0n, 1n, max - 1n]);
  if (random.chance(0.5)) return BigInt(random.below(1000));
  const wide = BigInt(random.below(2 ** 32)) * 2n ** 32n + BigInt(random.below(2 ** 32));
  return min + (wide % (max - min + 1n));
}
