/** What an error of the `pg` driver means. Codes: PostgreSQL manual, appendix A. */

/** What to make of an error: the connection is gone, a conflict worth a repeat, a statement that ran out of time, or any other. */
export type SqlErrorKind = "connection" | "conflict" | "timeout" | "other";

/** Sorts an error of the driver or of the socket below it. Pure. */
export function kindOf(error: unknown): SqlErrorKind {
  const code = codeOf(error);
  if (code !== undefined) {
    if (conflictCodes.has(code)) return "conflict";
    if (code === "57014" || code === "25P04") return "timeout";
    return connectionCodes.has(code) || code.startsWith("08") || (code.startsWith("E") && !/^\d/.test(code.slice(1)))
      ? "connection"
      : "other";
  }
  // The driver gives these no code.
  return error instanceof Error && connectionTexts.test(error.message) ? "connection" : "other";
}

/** True for a unique violation (23505), of the named constraint or unique index when one is given. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (codeOf(error) !== "23505") return false;
  return constraint === undefined || (error as { constraint?: unknown }).constraint === constraint;
}

/** The SQLSTATE or socket error code of a thrown value; undefined when it has none. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

const conflictCodes: ReadonlySet<string> = new Set(["40001", "40P01"]);

// admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout, idle_in_transaction_session_timeout,
// too_many_connections, disk_full, out_of_memory, io_error; 25006 is what a standby answers to a write while it fails over.
const connectionCodes: ReadonlySet<string> = new Set([
  ...["57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "53300", "53100", "53200", "58030", "25006"],
]);

const connectionTexts =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|Cannot use a pool after calling end|Connection ended)/;
