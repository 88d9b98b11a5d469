import { readFileSync } from "node:fs";
import { runStandaloneGateway } from "../../gateway/standalone.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { portOwner, takenSentence } from "../supervisor/ports.ts";

/** The options of `heddle gateway`. */
export interface GatewayOptions {
  readonly contracts: string;
  /** Each `pkg.Service=host:port`. */
  readonly upstream: readonly string[];
  readonly port: number;
}

/** How long calls in flight may take at the end, in milliseconds. */
const drainMs = 10_000;

/**
 * `heddle gateway`: REST for any contracts in front of any gRPC servers, until SIGINT or SIGTERM. No registry, no platform.
 *
 * @throws Failure for an image that cannot be read and an upstream that is none.
 */
export async function gateway({ out }: CommandContext, options: GatewayOptions): Promise<number> {
  const image = read(options.contracts);
  const upstreams = upstreamsOf(options.upstream);
  const running = await runStandaloneGateway({ image, upstreams, port: options.port }).catch((error: unknown) => {
    const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    throw new Failure(
      taken ? takenSentence(options.port, "the gateway", "--port", portOwner(options.port)) : messageOf(error),
      1,
      error,
    );
  });
  out.write(`gateway on ${running.address}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await running.drain(drainMs);
  return 0;
}

/** Addresses by contract; a contract that is named more than once has several. */
export function upstreamsOf(words: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const upstreams = new Map<string, readonly string[]>();
  for (const word of words) {
    const match = /^([\w.]+)=([^=\s]+:\d{1,5})$/.exec(word);
    const [, contract = "", address = ""] = match ?? [];
    if (match === null) throw new Failure(`--upstream: expected pkg.Service=host:port, got ${JSON.stringify(word)}`, 2);
    upstreams.set(contract, [...(upstreams.get(contract) ?? []), address]);
  }
  return upstreams;
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure(`--contracts: ${messageOf(error)}`, 2, error);
  }
}
