/** The environment that the sensor service reads, beside what every process does. */
import { duration, integer } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** Worker threads at most; 0: one less than the machine has cores, but one. */
  threads: integer("SENSOR_THREADS", 0, 64, 0),
  /** How long a test without samples waits for them, and an upload for its next message. */
  uploadTimeoutMs: duration("SENSOR_UPLOAD_TIMEOUT", "5m"),
  /** How long a test stays with a process that is not heard of any more, before another goes on with it. */
  leaseMs: duration("SENSOR_LEASE", "15s"),
};
