import type { PlatformStatus } from "../supervisor/control-server.ts";

/** What a gateway tells of its contracts: `contracts` in the answer of its `GET /health`. */
export interface GatewayContracts {
  readonly source: string;
  readonly version: string;
  readonly loaded_at: string;
  readonly refused?: { readonly reason: string; readonly at: string };
}

/** How long the gateway may take to answer, in milliseconds. */
const patienceMs = 1000;

/** Asks the platform's gateway which contracts hold; undefined when there is none, or it does not answer. */
export async function gatewayContracts({ processes }: PlatformStatus): Promise<GatewayContracts | undefined> {
  const gateway = processes.find(({ service, pid }) => service === "gateway" && pid !== undefined);
  if (gateway === undefined) return undefined;
  try {
    const response = await fetch(`http://127.0.0.1:${gateway.port}/health`, { signal: AbortSignal.timeout(patienceMs) });
    return ((await response.json()) as { contracts?: GatewayContracts }).contracts;
  } catch {
    return undefined;
  }
}

/** One line that says which contracts hold, and one more for each reason why the last change was refused. */
export function contractsLines(contracts: GatewayContracts | undefined): readonly string[] {
  if (contracts === undefined) return [];
  const { source, version, loaded_at, refused } = contracts;
  const line = `contracts ${version} from ${source}, since ${loaded_at}`;
  if (refused === undefined) return [line];
  return [line, `contracts refused at ${refused.at}:`, ...refused.reason.split("\n").map((reason) => `  ${reason}`)];
}
