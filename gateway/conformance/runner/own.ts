/** Heddle's own gateway as a target. */
import { runStandaloneGateway } from "../../standalone.ts";
import type { Contract } from "./contract.ts";
import type { Settings } from "./vector.ts";

/** A gateway that runs. */
export interface RunningGateway extends AsyncDisposable {
  readonly url: URL;
}

/** Starts the gateway over the contract, with the backend at `port` for every service, and with these variables set. */
export async function startOwn(contract: Contract, port: number, env: Settings = {}): Promise<RunningGateway> {
  const upstreams = new Map(contract.services.map((service) => [service, [`127.0.0.1:${port}`]]));
  const gateway = await runStandaloneGateway({ image: contract.image, upstreams, port: 0, logLevel: "silent", env });
  return { url: new URL(gateway.address), [Symbol.asyncDispose]: () => gateway.drain(0) };
}

/** Tries to boot over an image: the reason of the refusal, or undefined when it boots. */
export async function bootOwn(image: Uint8Array): Promise<string | undefined> {
  try {
    const gateway = await runStandaloneGateway({ image, upstreams: new Map(), port: 0, logLevel: "silent" });
    await gateway.drain(0);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
