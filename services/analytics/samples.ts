/**
 * Single postings as the ledger packs them, 32 bytes each: amount, microseconds since 2000, 16 bytes of the transaction's id. They
 * stay packed, since a million objects would take a second.
 */

/** One of them. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** In minor units. */
  readonly amount: bigint;
  readonly transactionId: string;
}

const bytesEach = 32;
/** 2000-01-01T00:00:00Z in milliseconds since the epoch. */
const epoch2000 = 946_684_800_000;

/** Postings of one group, in no order. */
export class Samples {
  readonly #parts: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** @param packed kept, not copied */
  add(packed: Uint8Array): void {
    this.#parts.push(Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength));
    this.#length += packed.byteLength / bytesEach;
  }

  /** |amount| of each, in minor units; beyond 2^53 rounded. */
  sizes(): Float64Array<ArrayBuffer> {
    const sizes = new Float64Array(this.#length);
    let index = 0;
    for (const part of this.#parts) {
      // Two halves, since a bigint for each would take longer than all the rest.
      for (let at = 0; at < part.length; at += bytesEach) {
        sizes[index++] = Math.abs(part.readInt32BE(at) * 2 ** 32 + part.readUInt32BE(at + 4));
      }
    }
    return sizes;
  }

  /** The one whose size stands at `index`. */
  at(index: number): Sample {
    let at = index * bytesEach;
    for (const part of this.#parts) {
      if (at < part.length) return sampleIn(part, at);
      at -= part.length;
    }
    throw new RangeError(`expected an index below ${this.#length}, got ${index}`);
  }
}

function sampleIn(part: Buffer, at: number): Sample {
  const hex = part.toString("hex", at + 16, at + bytesEach);
  return {
    amount: part.readBigInt64BE(at),
    time: epoch2000 + Number(part.readBigInt64BE(at + 8) / 1000n),
    transactionId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
  };
}
