/** Single amounts, packed: 40 bytes each. */

/** Amounts with the time and the transaction of each. */
export class Samples {
  #length = 0;
  #sizes = new Float64Array(16);
  #times = new Float64Array(16);
  #amounts = new BigInt64Array(16);
  #ids = new Uint8Array(16 * 16);

  get length(): number {
    return this.#length;
  }

  /** |amount| of each, in minor units; beyond 2^53 rounded. A view: it must not be changed. */
  get sizes(): Float64Array {
    return this.#sizes.subarray(0, this.#length);
  }

  /** @param ids the 16 bytes from `at` are the transaction's id */
  add(time: number, amount: bigint, ids: Uint8Array, at: number): void {
    const index = this.#length++;
    if (index === this.#sizes.length) this.#grow();
    this.#sizes[index] = Math.abs(Number(amount));
    this.#times[index] = time;
    this.#amounts[index] = amount;
    for (let byte = 0; byte < 16; byte++) this.#ids[index * 16 + byte] = ids[at + byte] ?? 0;
  }

  at(index: number): { readonly time: number; readonly amount: bigint; readonly transactionId: string } {
    const hex = Buffer.from(this.#ids.buffer, index * 16, 16).toString("hex");
    const transactionId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    return { time: this.#times[index] ?? 0, amount: this.#amounts[index] ?? 0n, transactionId };
  }

  #grow(): void {
    const capacity = this.#sizes.length * 2;
    this.#sizes = copied(this.#sizes, new Float64Array(capacity));
    this.#times = copied(this.#times, new Float64Array(capacity));
    this.#ids = copied(this.#ids, new Uint8Array(capacity * 16));
    const amounts = new BigInt64Array(capacity);
    amounts.set(this.#amounts);
    this.#amounts = amounts;
  }
}

function copied<T extends Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
