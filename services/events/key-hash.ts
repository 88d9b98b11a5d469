/** Which partition a key belongs to: MurmurHash2 as Kafka's own clients compute it, so that they find keys where they expect them. */

/** The hash of the key's UTF-8, 0 to 2^31 - 1; modulo the number of partitions it is Kafka's default partition of the key. Pure. */
export function keyHash(key: string): number {
  return murmur2(Buffer.from(key, "utf8")) & 0x7fffffff;
}

/** org.apache.kafka.common.utils.Utils.murmur2: 32 bits, seed 0x9747b28c. */
export function murmur2(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const whole = data.length & ~3;
  let h = 0x9747b28c ^ data.length;
  for (let at = 0; at < whole; at += 4) {
    const k = Math.imul(view.getInt32(at, true), multiplier);
    h = Math.imul(h, multiplier) ^ Math.imul(k ^ (k >>> 24), multiplier);
  }
  for (let at = data.length - 1; at >= whole; at--) h ^= view.getUint8(at) << (8 * (at - whole));
  if (whole < data.length) h = Math.imul(h, multiplier);
  h = Math.imul(h ^ (h >>> 13), multiplier);
  return h ^ (h >>> 15);
}

const multiplier = 0x5bd1e995;
