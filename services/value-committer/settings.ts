/** The environment that the committer reads, beside what every process does: nothing more. */
export const settings = {};
