/** Opens the source that an operator asks for. */
import type { Logger } from "#mesh/telemetry/log.ts";
import { combineSources } from "./combined-source.ts";
import { openImageSource } from "./image-source.ts";
import { openReflectionSource, type ReflectionSourceOptions } from "./reflection-source.ts";
import type { ContractSource } from "./source.ts";
import type { WatchTargets } from "./targets.ts";

/** What to read; at least one of the two. */
export interface OpenContractsOptions {
  /** The path of an image file, which is followed. */
  readonly image: string | undefined;
  /** Whom to ask by gRPC reflection. */
  readonly targets: WatchTargets | undefined;
  readonly onServices?: ReflectionSourceOptions["onServices"];
  readonly log: Logger;
}

/**
 * An image, what services tell, or both.
 *
 * @throws ContractError when the image cannot be read or is none. Services that do not answer are waited for only shortly.
 */
export async function openContracts({ image, targets, onServices, log }: OpenContractsOptions): Promise<ContractSource> {
  const ofImage = image === undefined ? undefined : await openImageSource(image);
  if (targets === undefined && ofImage !== undefined) return ofImage;
  const asked = { targets: targets ?? nobody, log, ...(onServices === undefined ? {} : { onServices }) };
  const reflection = await openReflectionSource(asked);
  return ofImage === undefined ? reflection : combineSources(ofImage, reflection);
}

const nobody: WatchTargets = () => ({ [Symbol.dispose]() {} });
