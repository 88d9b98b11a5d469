/** The catalog of the embedded agent: every change goes through here, takes an index, and is told to whoever persists it. */
import type { ChangeIndex } from "./change-index.ts";
import type { CheckRecord, CheckStatus, NodeRecord, NodeTable, ServiceRecord } from "./model.ts";

/** A service or check as it is registered, before it has indexes. */
export type Unindexed<T> = Omit<T, "createIndex" | "modifyIndex">;

/** What is told of a change: `definition` must not be lost, a `status` is found out again. */
export type ChangeKind = "definition" | "status";

/** The nodes, services and checks. */
export class AgentState {
  readonly index: ChangeIndex;
  /** The agent's own node. */
  readonly local: NodeTable;
  readonly #nodes = new Map<string, NodeTable>();
  readonly #onChange: (kind: ChangeKind) => void;

  constructor(local: NodeTable, others: readonly NodeTable[], index: ChangeIndex, onChange: (kind: ChangeKind) => void) {
    this.index = index;
    this.local = local;
    this.#onChange = onChange;
    for (const table of [local, ...others]) this.#nodes.set(table.node.name, table);
  }

  /** All nodes, by name. */
  nodes(): NodeTable[] {
    return [...this.#nodes.values()].sort((a, b) => (a.node.name < b.node.name ? -1 : 1));
  }

  node(name: string): NodeTable | undefined {
    return this.#nodes.get(name);
  }

  /** Every instance of `name` with its node, by id. */
  instances(name: string): { table: NodeTable; service: ServiceRecord }[] {
    return this.nodes().flatMap((table) =>
      sorted(table.services)
        .filter((service) => service.name === name)
        .map((service) => ({ table, service })),
    );
  }

  /** Adds a node to the catalog, or changes its address. */
  putNode(node: Unindexed<NodeRecord>): NodeTable {
    const known = this.#nodes.get(node.name);
    const modifyIndex = this.index.mark("nodes", `node:${node.name}`, ...servicesOf(known));
    const record = { ...node, createIndex: known?.node.createIndex ?? modifyIndex, modifyIndex };
    const table = { node: record, services: known?.services ?? new Map(), checks: known?.checks ?? new Map() };
    this.#nodes.set(node.name, table);
    this.#onChange("definition");
    return table;
  }

  /** Removes a node with all that is on it. */
  removeNode(name: string): void {
    const table = this.#nodes.get(name);
    if (table === undefined || table === this.local) return;
    this.#nodes.delete(name);
    this.index.mark("nodes", "catalog", "checks", `node:${name}`, ...servicesOf(table));
    this.#onChange("definition");
  }

  /** Registers a service, in place of one with its id. */
  putService(table: NodeTable, service: Unindexed<ServiceRecord>): void {
    const known = table.services.get(service.id);
    const renamed = known !== undefined && known.name !== service.name ? [`service:${known.name}`] : [];
    const modifyIndex = this.index.mark("catalog", `node:${table.node.name}`, `service:${service.name}`, ...renamed);
    table.services.set(service.id, { ...service, createIndex: known?.createIndex ?? modifyIndex, modifyIndex });
    this.#onChange("definition");
  }

  /** Removes a service and its checks; false when there is none. */
  removeService(table: NodeTable, id: string): boolean {
    const service = table.services.get(id);
    if (service === undefined) return false;
    table.services.delete(id);
    for (const check of [...table.checks.values()]) if (check.serviceId === id) table.checks.delete(check.id);
    this.index.mark("catalog", "checks", `node:${table.node.name}`, `service:${service.name}`);
    this.#onChange("definition");
    return true;
  }

  /** Registers a check, in place of one with its id. */
  putCheck(table: NodeTable, check: Unindexed<CheckRecord>): void {
    const known = table.checks.get(check.id);
    const modifyIndex = this.#markCheck(table, check.serviceId);
    table.checks.set(check.id, { ...check, createIndex: known?.createIndex ?? modifyIndex, modifyIndex });
    this.#onChange("definition");
  }

  /** Removes a check; false when there is none. */
  removeCheck(table: NodeTable, id: string): boolean {
    const check = table.checks.get(id);
    if (check === undefined) return false;
    table.checks.delete(id);
    this.#markCheck(table, check.serviceId);
    this.#onChange("definition");
    return true;
  }

  /** Sets what a check found. Only a change of status wakes those who watch: outputs differ with every probe. */
  setStatus(table: NodeTable, id: string, status: CheckStatus, output: string): void {
    const check = table.checks.get(id);
    if (check === undefined || (check.status === status && check.output === output)) return;
    const modifyIndex = check.status === status ? check.modifyIndex : this.#markCheck(table, check.serviceId);
    table.checks.set(id, { ...check, status, output, modifyIndex });
    if (check.status !== status) this.#onChange("status");
  }

  #markCheck(table: NodeTable, serviceId: string): number {
    const service = table.services.get(serviceId);
    // A check of the node itself decides over all of its services.
    const topics = service === undefined ? servicesOf(table) : [`service:${service.name}`];
    return this.index.mark("checks", `node:${table.node.name}`, ...topics);
  }
}

/** The records of a table in the order of their ids. */
export function sorted<T extends { readonly id: string }>(records: ReadonlyMap<string, T>): T[] {
  return [...records.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function servicesOf(table: NodeTable | undefined): string[] {
  return [...new Set([...(table?.services.values() ?? [])].map(({ name }) => `service:${name}`))];
}
