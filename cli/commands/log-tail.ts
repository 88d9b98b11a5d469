import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";

/** The last `count` whole lines of a file, read from its end; none when there is no such file. */
export function lastLines(path: string, count: number): readonly string[] {
  if (count === 0 || !existsSync(path)) return [];
  const fd = openSync(path, "r");
  try {
    const pieces: Buffer[] = [];
    let start = fstatSync(fd).size;
    for (let newlines = 0; start > 0 && newlines <= count; ) {
      const length = Math.min(64 * 1024, start);
      const piece = Buffer.alloc(length);
      start -= length;
      readSync(fd, piece, 0, length, start);
      newlines += piece.reduce((sum, byte) => sum + (byte === 10 ? 1 : 0), 0);
      pieces.unshift(piece);
    }
    const lines = Buffer.concat(pieces).toString().split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(-count);
  } finally {
    closeSync(fd);
  }
}

/** Reads what a log file has grown by, look after look; a file that was started over (it shrank) is read from its start. */
export class LogFollower {
  readonly #path: string;
  #position: number;
  #rest = Buffer.alloc(0);

  /** Begins at the file's present end, or, for a file that is still to come, at its start. */
  constructor(path: string) {
    this.#path = path;
    this.#position = size(path);
  }

  /** The whole lines that were written since the last look. */
  read(): readonly string[] {
    const end = size(this.#path);
    if (end < this.#position) [this.#position, this.#rest] = [0, Buffer.alloc(0)];
    if (end === this.#position) return [];
    const fd = openSync(this.#path, "r");
    try {
      const fresh = Buffer.alloc(end - this.#position);
      const read = readSync(fd, fresh, 0, fresh.length, this.#position);
      this.#position += read;
      const bytes = Buffer.concat([this.#rest, fresh.subarray(0, read)]);
      const last = bytes.lastIndexOf(10) + 1;
      this.#rest = bytes.subarray(last);
      return last === 0
        ? []
        : bytes
            .subarray(0, last - 1)
            .toString()
            .split("\n");
    } finally {
      closeSync(fd);
    }
  }
}

function size(path: string): number {
  if (!existsSync(path)) return 0;
  const fd = openSync(path, "r");
  try {
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}
