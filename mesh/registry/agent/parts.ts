/** What the routes of the agent's API work on. */
import type { CheckRunner } from "./check-runner.ts";
import type { KeyValues } from "./key-values.ts";
import type { AgentState } from "./state.ts";

/** One running agent, as its routes see it. */
export interface AgentParts {
  readonly state: AgentState;
  readonly keys: KeyValues;
  readonly runner: CheckRunner;
  readonly datacenter: string;
  /** `host:port` of the API. */
  readonly address: string;
  /**
   * Starts and stops checks after a change of definitions, and settles when the change is on disk. `anew` are the ids of
   * checks that were registered.
   */
  readonly settle: (anew?: readonly string[]) => Promise<void>;
}

/**
 * The version that the agent gives: the Consul whose API it follows, marked as not being that Consul. The mark is build
 * metadata to a reader of semantic versions.
 */
export const agentVersion = "1.8.7+heddle";
