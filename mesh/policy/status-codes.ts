/** gRPC's status codes by name and number (grpc/grpc, doc/statuscodes.md). */

/** Every name, at the index of its number. */
export const statusNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** The name of a code; UNKNOWN beyond the enum, as gRPC reads codes that it does not know. */
export function statusName(code: number): string {
  return statusNames[code] ?? "UNKNOWN";
}

/** The number of a status code given by name, in any case, or by number; undefined for all else. */
export function statusCodeOf(value: unknown): number | undefined {
  if (typeof value === "string") {
    const number = (statusNames as readonly string[]).indexOf(value.toUpperCase());
    return number === -1 ? undefined : number;
  }
  return typeof value === "number" && statusNames[value] !== undefined ? value : undefined;
}
