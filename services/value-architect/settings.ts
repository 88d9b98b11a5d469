/** The environment that the architect reads, beside what every process does: nothing more. */
export const settings = {};
