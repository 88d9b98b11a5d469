import { createHash } from "node:crypto";

/**
 * The UUID that stands for a step's key: the same for the same key, so that it can be the request_id of the step's effect. A UUIDv8
 * (RFC 9562, section 5.8) of the key's SHA-256.
 */
export function requestIdOf(key: string): string {
  const bytes = createHash("sha256").update(key).digest().subarray(0, 16);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
