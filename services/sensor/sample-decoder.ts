/** Bytes of an upload to samples, however they are cut. */

/** What the bytes are: IEEE 754 little-endian, or decimal numbers, one per line. */
export type SampleFormat = "float64" | "float32" | "text";

/** A line of bytes that is no number, or bytes that end within a sample; the message says where. */
export class SampleError extends Error {
  override readonly name = "SampleError";
}

/** Reads one upload. */
export interface SampleDecoder {
  /** The samples that `bytes` complete. @throws SampleError for a line that is no number. */
  add(bytes: Uint8Array): Float64Array;
  /** The last sample, when the text did not end with a line break. @throws SampleError when the bytes end within a sample. */
  end(): Float64Array;
}

/** A decoder for one upload. */
export function sampleDecoder(format: SampleFormat): SampleDecoder {
  return format === "text" ? textDecoder() : binaryDecoder(format === "float64" ? 8 : 4);
}

/** Longer than any number need be; a body without line breaks must not fill the memory. */
const maxLine = 100;

const none = new Float64Array(0);

function binaryDecoder(width: 4 | 8): SampleDecoder {
  let rest: Uint8Array = new Uint8Array(0);
  return {
    add(bytes) {
      const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      const count = Math.floor(all.length / width);
      const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
      const samples = new Float64Array(count);
      for (let at = 0; at < count; at++) {
        samples[at] = width === 8 ? view.getFloat64(at * 8, true) : view.getFloat32(at * 4, true);
      }
      // A copy: a view would keep the whole message.
      rest = all.slice(count * width);
      return samples;
    },
    end() {
      if (rest.length === 0) return none;
      throw new SampleError(`the bytes end within a sample: ${rest.length} of its ${width}`);
    },
  };
}

function textDecoder(): SampleDecoder {
  const utf8 = new TextDecoder();
  let rest = "";
  let line = 0;
  const read = (lines: readonly string[]): Float64Array => {
    const samples: number[] = [];
    for (const text of lines) {
      line++;
      const trimmed = text.trim();
      if (trimmed !== "") samples.push(numberOf(trimmed, line));
    }
    return Float64Array.from(samples);
  };
  return {
    add(bytes) {
      const lines = (rest + utf8.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      const samples = read(lines);
      if (rest.length > maxLine) throw notANumber(rest, line + 1);
      return samples;
    },
    end: () => read([rest + utf8.decode()]),
  };
}

function numberOf(text: string, line: number): number {
  if (/^nan$/i.test(text)) return Number.NaN;
  const value = Number(text);
  // Number() also reads 0x10, 0b1 and Infinity; the last is one that sensors say.
  if (!/^[+-]?(?:\d|\.\d|inf)/i.test(text) || /^[+-]?0[xob]/i.test(text)) throw notANumber(text, line);
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (Number.isNaN(value)) throw notANumber(text, line);
  return value;
}

function notANumber(text: string, line: number): SampleError {
  return new SampleError(`line ${line}: expected a number, got ${JSON.stringify(text.slice(0, 40))}`);
}
