/** The lines of a file, counted no further than somebody asks. */
export class LineCounter {
  readonly #bytes: Buffer;
  #line: number;
  #at = 0;

  /** `line`: the number of the line that `bytes` begin in. */
  constructor(bytes: Buffer, line: number) {
    this.#bytes = bytes;
    this.#line = line;
  }

  /** The number of the line that the byte at `offset` is in. Offsets never go back. */
  at(offset: number): number {
    for (;;) {
      const newline = this.#bytes.indexOf(10, this.#at);
      if (newline === -1 || newline >= offset) return this.#line;
      this.#line++;
      this.#at = newline + 1;
    }
  }
}
