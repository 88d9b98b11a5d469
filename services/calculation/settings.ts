/** The environment that the calculation service reads, beside what every process does. */
import { duration, integer } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** Worker threads at most; 0: one less than the machine has cores, but one. */
  threads: integer("CALCULATION_THREADS", 0, 64, 0),
  /** How long one task may keep a thread: all of a call, but a part of a simulation. */
  timeLimitMs: duration("CALCULATION_TIME_LIMIT", "5s"),
  /** How long a simulation may keep threads, all its parts together. */
  simulationLimitMs: duration("CALCULATION_SIMULATION_LIMIT", "2m"),
  /** What a thread may take for a call's objects, in MiB; 40 of them are the library's. */
  memoryMib: integer("CALCULATION_MEMORY_MIB", 64, 4096, 128),
};
