/** A process and the names of those that must be ready before it starts. */
export interface Needing {
  readonly name: string;
  readonly needs: readonly string[];
}

/**
 * The order of a start, in waves: each wave's processes need only those of waves before it. A stop goes through them backwards.
 *
 * @throws Error for a name that is needed and not there, and for a circle, with the names on it.
 */
export function startOrder<T extends Needing>(processes: readonly T[]): readonly (readonly T[])[] {
  const names = new Set(processes.map(({ name }) => name));
  for (const { name, needs } of processes) {
    const missing = needs.find((needed) => !names.has(needed));
    if (missing !== undefined) throw new Error(`${name} needs ${missing}, which is not a service of the platform`);
  }
  const waves: T[][] = [];
  const placed = new Set<string>();
  while (placed.size < processes.length) {
    const wave = processes.filter(({ name, needs }) => !placed.has(name) && needs.every((needed) => placed.has(needed)));
    if (wave.length === 0) {
      const stuck = processes.filter(({ name }) => !placed.has(name)).map(({ name }) => name);
      throw new Error(`these services need each other in a circle: ${stuck.join(", ")}`);
    }
    waves.push(wave);
    for (const { name } of wave) placed.add(name);
  }
  return waves;
}

/** `wanted` and all that they need, directly or through others, in the order of `processes`. */
export function withNeeds<T extends Needing>(processes: readonly T[], wanted: readonly string[]): readonly T[] {
  const byName = new Map(processes.map((process) => [process.name, process]));
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    byName.get(name)?.needs.forEach(visit);
  };
  wanted.forEach(visit);
  return processes.filter(({ name }) => found.has(name));
}
