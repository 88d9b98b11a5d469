/** The environment that the executor reads, beside what every process does: nothing more. */
export const settings = {};
