/** Single amounts and single postings as the ledger packs them. They stay packed, since a million objects would take a second. */

/** A posting. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** In minor units. */
  readonly amount: bigint;
  /** |amount|; beyond 2^53 rounded. */
  readonly size: number;
  readonly transactionId: string;
}

/** Bytes of one amount: two's complement, big-endian. */
const amountBytes = 8;
/** Bytes of one posting: its amount, microseconds since 2000 (likewise), 16 bytes of the transaction's id. */
const postingBytes = 32;
/** 2000-01-01T00:00:00Z in milliseconds since the epoch. */
const epoch2000 = 946_684_800_000;

/** Amounts of one group, in no order. */
export class Samples {
  readonly #parts: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** @param packed 8 bytes each; kept, not copied */
  add(packed: Uint8Array): void {
    this.#parts.push(bufferOf(packed));
    this.#length += packed.byteLength / amountBytes;
  }

  /** |amount| of each, in minor units; beyond 2^53 rounded. */
  sizes(): Float64Array<ArrayBuffer> {
    const sizes = new Float64Array(this.#length);
    let index = 0;
    for (const part of this.#parts) {
      for (let at = 0; at < part.length; at += amountBytes) sizes[index++] = sizeAt(part, at);
    }
    return sizes;
  }
}

/** The postings in `packed`, 32 bytes each. */
export function* samplesIn(packed: Uint8Array): Generator<Sample> {
  const part = bufferOf(packed);
  for (let at = 0; at < part.length; at += postingBytes) {
    const hex = part.toString("hex", at + 16, at + postingBytes);
    yield {
      amount: part.readBigInt64BE(at),
      size: sizeAt(part, at),
      time: epoch2000 + Number(part.readBigInt64BE(at + 8) / 1000n),
      transactionId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
    };
  }
}

/** Two halves, since a bigint for each would take longer than all the rest. */
function sizeAt(part: Buffer, at: number): number {
  return Math.abs(part.readInt32BE(at) * 2 ** 32 + part.readUInt32BE(at + 4));
}

function bufferOf(packed: Uint8Array): Buffer {
  return Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
}
