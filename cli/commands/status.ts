import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import type { PlatformStatus } from "../supervisor/control-server.ts";
import type { Paint } from "../terminal/paint.ts";
import { humanBytes, humanDuration } from "../terminal/quantity.ts";
import { cut, tableLines } from "../terminal/table.ts";
import { contractsLines, type GatewayContracts, gatewayContracts } from "./gateway-contracts.ts";
import { healthOf, outsideLines, paintHealth, type SeenService } from "./service-lines.ts";

/** The options of `heddle status`. */
export interface StatusOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
}

/**
 * `heddle status`: a table of the processes and which contracts the gateway serves, or both as JSON. The exit code is 1 while a process
 * is not ready. With --watch it is written every second, and, where discovery runs, with the registry's word on each process as soon as
 * that changes.
 *
 * @throws Failure when the platform does not run.
 */
export async function status(context: CommandContext, options: StatusOptions): Promise<number> {
  if (options.watch !== true) {
    const seen = await show(context, options);
    return seen.processes.every(({ state }) => state === "ready") ? 0 : 1;
  }
  // Loaded here alone: the mesh's client is the larger part of this command.
  await using watch = await (await import("./service-watch.ts")).watchServices(context);
  for (;;) {
    await show(context, options, watch.services());
    if (context.out.isTTY) context.out.write("\x1b[J");
    await sleep(leastMs);
    await watch.changed(mostMs - leastMs);
  }
}

/** Between two looks at least, and at most, in milliseconds. */
const leastMs = 200;
const mostMs = 1000;

async function show(context: CommandContext, options: StatusOptions, services?: readonly SeenService[]): Promise<PlatformStatus> {
  const { folder, out, paint } = context;
  const seen = await platformStatus(folder);
  if (seen === undefined) throw new Failure("the platform is not running: start it with `heddle up`");
  const contracts = await gatewayContracts(seen);
  const watched = options.watch === true;
  if (options.json === true) {
    out.write(`${JSON.stringify({ ...seen, contracts, services }, null, watched ? 0 : 2)}\n`);
    return seen;
  }
  const lines = statusLines(seen, paint, out.columns ?? 200, Date.now(), contracts, services);
  out.write((watched && out.isTTY ? home : "") + lines.map(clearRest(out)).join(""));
  return seen;
}

/** The status as lines for a terminal of `width` columns. */
export function statusLines(
  seen: PlatformStatus,
  paint: Paint,
  width: number,
  now: number,
  contracts?: GatewayContracts,
  services?: readonly SeenService[],
): readonly string[] {
  const colours = { ready: paint.green, starting: paint.cyan, unready: paint.yellow, backoff: paint.red } as Readonly<
    Record<string, (text: string) => string>
  >;
  const head = [
    "process",
    "state",
    "pid",
    "port",
    "restarts",
    "up",
    "memory",
    ...(services === undefined ? [] : ["health"]),
    "",
  ].map(paint.bold);
  const rows = seen.processes.map((process) => [
    process.name,
    (colours[process.state] ?? paint.dim)(process.state),
    process.pid === undefined ? "-" : String(process.pid),
    String(process.port),
    String(process.restarts + process.memoryRestarts),
    process.uptimeMs === undefined ? "-" : humanDuration(process.uptimeMs),
    process.memoryBytes === undefined ? "-" : humanBytes(process.memoryBytes),
    ...(services === undefined ? [] : [paintHealth(healthOf(services, process.service, process.port), paint)]),
    process.why,
  ]);
  const total = seen.processes.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0);
  const registry = `${seen.registry.address} (${seen.registry.embedded ? "embedded" : "Consul"})`;
  return [
    `platform ${paint.bold(seen.phase)}${seen.why === "" ? "" : `: ${seen.why}`}, up ${humanDuration(now - seen.startedAt)}, pid ${seen.pid}, ${humanBytes(total)} in all`,
    `registry ${registry}, data ${seen.data}`,
    ...contractsLines(contracts),
    "",
    ...tableLines([head, ...rows], [2, 3, 4, 5, 6]),
    ...(services === undefined ? [] : outsideLines(services, paint)),
  ].map((line) => cut(line, width));
}

const home = "\x1b[H";

function clearRest({ isTTY }: { readonly isTTY: boolean }): (line: string) => string {
  return (line) => (isTTY ? `${line}\x1b[K\n` : `${line}\n`);
}
