/** The environment that the etl service reads, beside what every process does. */
import { duration, integer, type Setting, text } from "#mesh/config.ts";

const gigabyte = 10 ** 9;

/** The PostgreSQL servers that jobs may query, by name: `shop=postgres://reader:secret@host/shop crm=postgres://...`. */
const sources: Setting<ReadonlyMap<string, string>> = {
  variable: "ETL_SOURCES",
  expected: "name=postgres://... pairs, separated by blanks",
  fallback: { value: new Map() },
  secret: true,
  parse(value) {
    const pairs = value.split(/\s+/).filter((pair) => pair !== "");
    const parsed = pairs.map((pair) => /^([a-z][a-z0-9_-]{0,49})=(postgres(?:ql)?:\/\/.+)$/.exec(pair));
    if (parsed.some((match) => match === null || !URL.canParse(match[2] ?? ""))) return undefined;
    return new Map(parsed.map((match) => [match?.[1] ?? "", match?.[2] ?? ""]));
  },
};

/** By the names that the code uses. */
export const settings = {
  sources,
  /** The role that a person needs to query a source. */
  sourceRole: text("ETL_SOURCE_ROLE", "admin"),
  /** How long a query may take as a whole. */
  queryTimeoutMs: duration("ETL_QUERY_TIMEOUT", "10m"),
  /** Worker threads at most; 0: one less than the machine has cores, but one. */
  threads: integer("ETL_THREADS", 0, 64, 0),
  /** Jobs at the same time. */
  concurrency: integer("ETL_JOBS", 1, 100, 2),
  /** How long a job stays with a process that is not heard of any more, before another goes on with it. */
  leaseMs: duration("ETL_LEASE", "15s"),
  /** How long an upload waits for its next bytes. */
  uploadTimeoutMs: duration("ETL_UPLOAD_TIMEOUT", "5m"),
  /** How long uploads are kept, and the outputs and rejects of jobs that have ended. */
  retentionMs: duration("ETL_RETENTION", "1d"),
  /** Bytes of one upload. */
  maxUploadBytes: integer("ETL_MAX_UPLOAD_BYTES", 1, 10 ** 15, 5 * gigabyte),
  /** Bytes of a user's uploads and outputs. */
  maxUserBytes: integer("ETL_MAX_USER_BYTES", 1, 10 ** 15, 10 * gigabyte),
  /** Bytes of all uploads and outputs in the data folder. */
  maxDiskBytes: integer("ETL_MAX_DISK_BYTES", 1, 10 ** 15, 40 * gigabyte),
  /** Bytes of a user's tables, and of what one of their jobs has staged. */
  maxTableBytes: integer("ETL_MAX_TABLE_BYTES", 1, 10 ** 15, 10 * gigabyte),
};
