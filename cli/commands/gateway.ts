import { openConsul } from "#mesh/registry/consul.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { runStandaloneGateway, type StandaloneOptions } from "../../gateway/standalone.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { portOwner, takenSentence } from "../supervisor/ports.ts";
import { consulUrl } from "../supervisor/registry-probe.ts";

/** The options of `heddle gateway`. */
export interface GatewayOptions {
  /** The path of an image, which is followed. */
  readonly contracts?: string;
  /** Contracts come from gRPC reflection, too. */
  readonly reflect?: boolean;
  /** Each `pkg.Service=host:port`, or with `reflect` `host:port`. Default: what the registry knows. */
  readonly upstream?: readonly string[];
  readonly port: number;
}

/** How long calls in flight may take at the end, in milliseconds. */
const drainMs = 10_000;

/**
 * `heddle gateway`: REST for any contracts in front of any gRPC servers, until SIGINT or SIGTERM. The servers are those that are
 * named, or all that the registry at CONSUL_HTTP_ADDR knows.
 *
 * @throws Failure for an image that cannot be read and an upstream that is none.
 */
export async function gateway(context: CommandContext, options: GatewayOptions): Promise<number> {
  const { out } = context;
  const running = await runStandaloneGateway(standaloneOptions(context, options)).catch((error: unknown) => {
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

/** @throws Failure for options that make no sense together. */
export function standaloneOptions({ env }: Pick<CommandContext, "env">, options: GatewayOptions): StandaloneOptions {
  const { contracts, reflect = false, upstream = [], port } = options;
  if (contracts === undefined && !reflect) throw new Failure("name an image by --contracts, or ask the servers by --reflect", 2);
  const servers = upstream.filter((word) => !word.includes("="));
  const wrong = servers.find((word) => !reflect || !isAddress(word));
  if (wrong !== undefined) throw notAnUpstream(wrong);
  return {
    ...(contracts === undefined ? {} : { image: contracts }),
    reflect,
    upstreams: upstreamsOf(upstream.filter((word) => word.includes("="))),
    servers,
    port,
    env,
    ...(env.HEDDLE_LOG_LEVEL ? { logLevel: env.HEDDLE_LOG_LEVEL } : {}),
    ...(upstream.length > 0 ? {} : { openRegistry: (log: Logger) => openConsul({ ...consulOf(env), log }) }),
  };
}

/** Addresses by contract; a contract that is named more than once has several. */
export function upstreamsOf(words: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const upstreams = new Map<string, readonly string[]>();
  for (const word of words) {
    const [contract = "", address = "", ...rest] = word.split("=");
    if (!/^[\w.]+$/.test(contract) || !isAddress(address) || rest.length > 0) throw notAnUpstream(word);
    upstreams.set(contract, [...(upstreams.get(contract) ?? []), address]);
  }
  return upstreams;
}

function isAddress(word: string): boolean {
  return /^[^=\s]+:\d{1,5}$/.test(word);
}

function notAnUpstream(word: string): Failure {
  return new Failure(`--upstream: expected pkg.Service=host:port, got ${JSON.stringify(word)}`, 2);
}

function consulOf(env: CommandContext["env"]) {
  return {
    address: consulUrl(env.CONSUL_HTTP_ADDR || "http://127.0.0.1:8500").origin,
    ...(env.CONSUL_HTTP_TOKEN ? { token: env.CONSUL_HTTP_TOKEN } : {}),
    ...(env.CONSUL_DATACENTER ? { datacenter: env.CONSUL_DATACENTER } : {}),
    ...(env.CONSUL_NAMESPACE ? { namespace: env.CONSUL_NAMESPACE } : {}),
  };
}
