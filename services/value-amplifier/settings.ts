/** The environment that the amplifier reads, beside what every process does: nothing more. */
export const settings = {};
