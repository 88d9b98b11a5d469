/**
 * Philox4x32-10, a random number generator by counter (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC11): the numbers of a block depend on the seed and the block's number alone, so that any thread can make any block.
 */

/** Doubles from 0 to 1, 0 included and 1 not, of 53 random bits each. */
export type Uniforms = () => number;

/** The numbers of one block of a seed of 64 bits. */
export function uniformsOf(seed: bigint, block: number): Uniforms {
  const [low, high] = [Number(BigInt.asUintN(32, seed)), Number(BigInt.asUintN(32, seed >> 32n))];
  const words = new Uint32Array(4);
  let position = 0;
  let used = 4;
  return () => {
    if (used === 4) {
      words[0] = position;
      words[1] = position++ / 2 ** 32;
      words[2] = block;
      words[3] = 0;
      philox(words, low, high);
      used = 0;
    }
    const top = (words[used] as number) >>> 5;
    const rest = (words[used + 1] as number) >>> 6;
    used += 2;
    return (top * 2 ** 26 + rest) / 2 ** 53;
  };
}

/** Ten rounds over the counter, in place. */
export function philox(counter: Uint32Array, low: number, high: number): void {
  let [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = counter;
  let [k0, k1] = [low | 0, high | 0];
  for (let round = 0; round < 10; round++) {
    const h0 = multiplyHigh(0xd2511f53, c0);
    const h1 = multiplyHigh(0xcd9e8d57, c2);
    const l0 = Math.imul(0xd2511f53, c0);
    const l1 = Math.imul(0xcd9e8d57, c2);
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** The upper 32 bits of a product of 32 bits each. */
function multiplyHigh(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536)) | 0;
}
