import type { ManagedProcess } from "./managed-process.ts";
import { type InstanceSpec, instanceOf } from "./process-spec.ts";

/** What a rolling restart works with. */
export interface RollingParts {
  create(spec: InstanceSpec): ManagedProcess;
  /** Two free ports: for calls and for the admin listener. */
  freePorts(): Promise<readonly number[]>;
  /** Waits until an instance that is ready can be found by its clients. */
  untilDiscovered(spec: InstanceSpec): Promise<void>;
  readonly graceMs: number;
  /** How often a new process may end before it is ready. */
  readonly attempts: number;
  report(step: string): void;
}

/**
 * Replaces every process of a service, one after another, each on its own ports.
 *
 * Of several, the others serve meanwhile. A single one is covered by another on free ports that stands in until the new one can be
 * found; where clients do not look in the registry (the gateway) that would help nobody, so there it just ends and starts.
 * A replacement that does not start ends the roll, with the rest of the service as it was.
 *
 * `group` is changed in place: a process that ended cannot start again, so a new one takes its position.
 */
export async function roll(group: ManagedProcess[], parts: RollingParts): Promise<void> {
  const standIn =
    group.length === 1 && group[0]?.spec.discovered === true ? await startStandIn(group, group[0].spec, parts) : undefined;
  try {
    for (const old of group.filter((process) => process !== standIn)) await replace(group, old, parts);
  } finally {
    if (standIn !== undefined) await stopStandIn(group, standIn, parts);
  }
}

async function replace(group: ManagedProcess[], old: ManagedProcess, parts: RollingParts): Promise<void> {
  const { instance } = old.spec;
  await old.stop(parts.graceMs);
  parts.report(`${instance} is stopped`);
  const process = parts.create(old.spec);
  group[group.indexOf(old)] = process;
  process.start();
  await process.untilReady(parts.attempts);
  if (process.spec.discovered) await parts.untilDiscovered(process.spec);
  parts.report(`${instance} is ready`);
}

async function startStandIn(group: ManagedProcess[], spec: InstanceSpec, parts: RollingParts): Promise<ManagedProcess> {
  const [port = 0, adminPort = 0] = await parts.freePorts();
  const standIn = parts.create(instanceOf(spec, 2, { port, adminPort }));
  group.push(standIn);
  standIn.start();
  try {
    await standIn.untilReady(parts.attempts);
    await parts.untilDiscovered(standIn.spec);
    parts.report(`${standIn.spec.instance} stands in on port ${port}`);
    return standIn;
  } catch (error) {
    await stopStandIn(group, standIn, parts);
    throw error;
  }
}

async function stopStandIn(group: ManagedProcess[], standIn: ManagedProcess, parts: RollingParts): Promise<void> {
  await standIn.stop(parts.graceMs);
  const position = group.indexOf(standIn);
  if (position !== -1) group.splice(position, 1);
  parts.report(`${standIn.spec.instance} is stopped`);
}
