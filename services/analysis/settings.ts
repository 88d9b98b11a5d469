/** The environment that the analysis service reads, beside what every process does. */
import { integer } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** Worker threads at most; 0: one less than the machine has cores, but one. */
  threads: integer("ANALYSIS_THREADS", 0, 64, 0),
};
