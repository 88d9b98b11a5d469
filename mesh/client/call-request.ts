/** What a call is made of: the parts that all calls of a process share, and what one call asks for. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { CallerToken } from "../identity/caller.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Directory } from "./directory.ts";
import type { Guards } from "./guards.ts";
import type { Instruments } from "./instruments.ts";
import type { ServiceConfigSource } from "./service-configs.ts";

/** What all calls of a process share. */
export interface CallParts {
  readonly directory: Directory;
  readonly guards: Guards;
  readonly serviceConfigs: ServiceConfigSource;
  readonly caller: CallerToken;
  readonly log: Logger;
  readonly instruments: Instruments;
  readonly clock: () => number;
  readonly random: () => number;
}

/** What is to be called. */
export interface CallRequest {
  readonly method: DescMethod;
  readonly metadata: Headers | undefined;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds for the whole call; undefined, or 0 and below, for no limit of the caller's own. */
  readonly timeoutMs: number | undefined;
  /** Encodes a message, which must not have more bytes than the method's limit. */
  readonly encode: (message: unknown, maxBytes: number | undefined) => Uint8Array;
  /** The request: its only message, or a source of messages. */
  readonly input: { readonly message: unknown } | { readonly messages: AsyncIterable<unknown> };
}
