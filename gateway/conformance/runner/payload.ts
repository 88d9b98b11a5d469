/** From the texts of vectors to bytes. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import type { Bytes, Coding, Text } from "./vector.ts";

/** The text with its repeated pieces written out. */
export function textOf(text: Text): string {
  if (typeof text === "string") return text;
  return text.map((piece) => (typeof piece === "string" ? piece : piece.repeat.repeat(piece.times))).join("");
}

/** The bytes, in their content codings. */
export function bytesOf(bytes: Bytes): Buffer {
  if (typeof bytes === "string" || Array.isArray(bytes)) return Buffer.from(textOf(bytes as Text));
  if ("base64" in bytes) return Buffer.from(bytes.base64, "base64");
  const { text, encoding } = bytes as { text: Text; encoding: readonly Coding[] };
  return encoding.reduce<Buffer>((body, coding) => encoders[coding](body), Buffer.from(textOf(text)));
}

const encoders: Readonly<Record<Coding, (body: Buffer) => Buffer>> = {
  gzip: (body) => gzipSync(body),
  br: (body) => brotliCompressSync(body),
  deflate: (body) => deflateSync(body),
  "deflate-raw": (body) => deflateRawSync(body),
};
