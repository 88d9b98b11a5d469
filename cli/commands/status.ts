import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import type { PlatformStatus } from "../supervisor/control-server.ts";
import type { Paint } from "../terminal/paint.ts";
import { humanBytes, humanDuration } from "../terminal/quantity.ts";
import { cut, tableLines } from "../terminal/table.ts";
import { contractsLines, type GatewayContracts, gatewayContracts } from "./gateway-contracts.ts";

/** The options of `heddle status`. */
export interface StatusOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
}

/**
 * `heddle status`: a table of the processes and which contracts the gateway serves, or both as JSON. The exit code is 1 while a process is not ready.
 *
 * @throws Failure when the platform does not run.
 */
export async function status(context: CommandContext, options: StatusOptions): Promise<number> {
  const { folder, out, paint } = context;
  for (;;) {
    const seen = await platformStatus(folder);
    if (seen === undefined) throw new Failure("the platform is not running: start it with `heddle up`");
    const contracts = await gatewayContracts(seen);
    if (options.json === true) out.write(`${JSON.stringify({ ...seen, contracts }, null, options.watch === true ? 0 : 2)}\n`);
    else
      out.write(
        (options.watch === true && out.isTTY ? home : "") +
          statusLines(seen, paint, out.columns ?? 200, Date.now(), contracts)
            .map(clearRest(out))
            .join(""),
      );
    if (options.watch !== true) return seen.processes.every(({ state }) => state === "ready") ? 0 : 1;
    if (out.isTTY) out.write("\x1b[J");
    await sleep(1000);
  }
}

/** The status as lines for a terminal of `width` columns. */
export function statusLines(
  seen: PlatformStatus,
  paint: Paint,
  width: number,
  now: number,
  contracts?: GatewayContracts,
): readonly string[] {
  const colours = { ready: paint.green, starting: paint.cyan, unready: paint.yellow, backoff: paint.red } as Readonly<
    Record<string, (text: string) => string>
  >;
  const head = ["process", "state", "pid", "port", "restarts", "up", "memory", ""].map(paint.bold);
  const rows = seen.processes.map((process) => [
    process.name,
    (colours[process.state] ?? paint.dim)(process.state),
    process.pid === undefined ? "-" : String(process.pid),
    String(process.port),
    String(process.restarts + process.memoryRestarts),
    process.uptimeMs === undefined ? "-" : humanDuration(process.uptimeMs),
    process.memoryBytes === undefined ? "-" : humanBytes(process.memoryBytes),
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
  ].map((line) => cut(line, width));
}

const home = "\x1b[H";

function clearRest({ isTTY }: { readonly isTTY: boolean }): (line: string) => string {
  return (line) => (isTTY ? `${line}\x1b[K\n` : `${line}\n`);
}
