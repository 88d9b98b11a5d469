/** UUIDv7 (RFC 9562, section 5.7): ids that sort by the time they were made. */
import { randomBytes } from "node:crypto";

const maxStepBackMs = 10_000;

let lastMs = 0;
let counter = 0;

/**
 * A new UUIDv7 in lower case. `now` is in milliseconds since the epoch, default the clock.
 *
 * Within one process ids are strictly increasing, also within a millisecond and when the clock goes back by less than 10 s: the 12
 * bits of rand_a are a counter (RFC 9562, section 6.2, method 1) that starts at random below 2048 and, when it overflows, borrows the
 * next millisecond. A clock that goes back further is believed. The other 62 bits are random.
 */
export function uuidv7(now: number = Date.now()): string {
  if (now > lastMs || now < lastMs - maxStepBackMs) {
    lastMs = Math.floor(now);
    counter = randomBytes(2).readUInt16BE() & 0x7ff;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  const bytes = randomBytes(16);
  bytes.writeUIntBE(lastMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | counter, 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
