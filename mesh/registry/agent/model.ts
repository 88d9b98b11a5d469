/** What the embedded agent knows: nodes, their services and checks. */

/** A check's state in Consul's words. */
export type CheckStatus = "passing" | "warning" | "critical";

/** Where an instance of a service is, and what it says of itself. */
export interface ServiceRecord {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>> | null;
  readonly taggedAddresses: Readonly<Record<string, { readonly Address: string; readonly Port: number }>>;
  readonly weights: { readonly Passing: number; readonly Warning: number };
  readonly enableTagOverride: boolean;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** How the agent finds out a check's status itself; a `none` is set from outside only. Durations in milliseconds. */
export type Probe =
  | { readonly kind: "grpc"; readonly target: string; readonly tls: boolean; readonly verify: boolean }
  | {
      readonly kind: "http";
      readonly url: string;
      readonly method: string;
      readonly headers: Readonly<Record<string, readonly string[]>>;
      readonly body: string;
      readonly verify: boolean;
    }
  | { readonly kind: "tcp"; readonly target: string }
  | { readonly kind: "ttl"; readonly ttlMs: number }
  | { readonly kind: "none" };

/** How often to probe, and how many results in a row make a status. */
export interface CheckPlan {
  readonly probe: Probe;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly successBeforePassing: number;
  readonly failuresBeforeWarning: number;
  readonly failuresBeforeCritical: number;
  /** The check's service is forgotten after it was critical for so long; 0 never. */
  readonly deregisterAfterMs: number;
}

/** A check and its present status. */
export interface CheckRecord {
  readonly id: string;
  readonly name: string;
  /** Empty for a check of the node itself. */
  readonly serviceId: string;
  readonly notes: string;
  readonly status: CheckStatus;
  readonly output: string;
  /** Consul's word for the kind of check: grpc, http, tcp, ttl, maintenance, or empty. */
  readonly type: string;
  readonly plan: CheckPlan;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** A machine: the agent's own, or one that somebody put into the catalog. */
export interface NodeRecord {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** The address by network (lan, wan); null for a node that was put into the catalog without. */
  readonly taggedAddresses: Readonly<Record<string, string>> | null;
  readonly meta: Readonly<Record<string, string>> | null;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** A node with all that is on it, by id. */
export interface NodeTable {
  readonly node: NodeRecord;
  readonly services: Map<string, ServiceRecord>;
  readonly checks: Map<string, CheckRecord>;
}

/** A plan that probes nothing. */
export const noPlan: CheckPlan = {
  probe: { kind: "none" },
  intervalMs: 0,
  timeoutMs: 0,
  successBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  deregisterAfterMs: 0,
};

/** The worst of `checks`, passing when there is none. */
export function worstCheck(checks: readonly CheckRecord[]): CheckStatus {
  if (checks.some(({ status }) => status === "critical")) return "critical";
  return checks.some(({ status }) => status === "warning") ? "warning" : "passing";
}

/** The checks that decide over a service on a node: its own and the node's. Consul's order is that of the ids. */
export function checksOf(table: NodeTable, serviceId: string): CheckRecord[] {
  const all = [...table.checks.values()];
  const node = all.filter((check) => check.serviceId === "");
  return [...node, ...all.filter((check) => serviceId !== "" && check.serviceId === serviceId)];
}
