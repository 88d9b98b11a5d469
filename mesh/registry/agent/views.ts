/** The agent's records in the shapes of Consul's API: names, cases and nulls as Consul 1.8 writes them. */
import { type CheckRecord, checksOf, type NodeRecord, type NodeTable, type ServiceRecord, worstCheck } from "./model.ts";
import { sorted } from "./state.ts";

/** A node in the catalog. */
export function nodeView(node: NodeRecord, datacenter: string) {
  return {
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: datacenter,
    TaggedAddresses: node.taggedAddresses,
    Meta: node.meta,
    CreateIndex: node.createIndex,
    ModifyIndex: node.modifyIndex,
  };
}

/** A service under /v1/agent. */
export function agentServiceView(service: ServiceRecord) {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: service.meta ?? {},
    Port: service.port,
    Address: service.address,
    ...taggedAddresses(service),
    Weights: service.weights,
    EnableTagOverride: service.enableTagOverride,
  };
}

/** A service under /v1/health and /v1/catalog/node. */
export function serviceView(service: ServiceRecord) {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Address: service.address,
    ...taggedAddresses(service),
    Meta: service.meta,
    Port: service.port,
    Weights: service.weights,
    EnableTagOverride: service.enableTagOverride,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

/** A service under /v1/catalog/service, flat with its node. */
export function catalogServiceView({ node }: NodeTable, service: ServiceRecord, datacenter: string) {
  return {
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: datacenter,
    TaggedAddresses: node.taggedAddresses,
    NodeMeta: node.meta,
    ServiceKind: "",
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    ServiceAddress: service.address,
    ...(Object.keys(service.taggedAddresses).length > 0 && { ServiceTaggedAddresses: service.taggedAddresses }),
    ServiceWeights: service.weights,
    ServiceMeta: service.meta ?? {},
    ServicePort: service.port,
    ServiceEnableTagOverride: service.enableTagOverride,
    ServiceProxy: { MeshGateway: {}, Expose: {} },
    ServiceConnect: {},
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

/** A check anywhere. */
export function checkView(table: NodeTable, check: CheckRecord) {
  const service = table.services.get(check.serviceId);
  return {
    Node: table.node.name,
    CheckID: check.id,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: service?.name ?? "",
    ServiceTags: service?.tags ?? [],
    Type: check.type,
    Definition: {},
    CreateIndex: check.createIndex,
    ModifyIndex: check.modifyIndex,
  };
}

/** One entry of /v1/health/service. */
export function healthView(table: NodeTable, service: ServiceRecord, datacenter: string) {
  return {
    Node: nodeView(table.node, datacenter),
    Service: serviceView(service),
    Checks: checksOf(table, service.id).map((check) => checkView(table, check)),
  };
}

/** One entry of /v1/agent/health/service: from what the agent itself checks. */
export function agentHealthView(table: NodeTable, service: ServiceRecord) {
  const checks = checksOf(table, service.id).filter(({ id }) => id !== serfHealthId);
  const maintenance = checks.some(({ id }) => id === nodeMaintenanceId || id.startsWith(serviceMaintenancePrefix));
  return {
    AggregatedStatus: maintenance ? ("maintenance" as const) : worstCheck(checks),
    Service: agentServiceView(service),
    Checks: checks.map((check) => checkView(table, check)),
  };
}

/** A node as Consul's own UI asks for it. */
export function uiNodeView(table: NodeTable) {
  const { Datacenter: _, CreateIndex: __, ModifyIndex: ___, ...node } = nodeView(table.node, "");
  return {
    ...node,
    Services: sorted(table.services).map(serviceView),
    Checks: sorted(table.checks).map((check) => checkView(table, check)),
  };
}

/** The id of the check by which the agent's own node is alive. */
export const serfHealthId = "serfHealth";
/** The id of the check that stands for a node's maintenance. */
export const nodeMaintenanceId = "_node_maintenance";
/** Before a service's id: the id of the check that stands for its maintenance. */
export const serviceMaintenancePrefix = "_service_maintenance:";

function taggedAddresses(service: ServiceRecord) {
  return Object.keys(service.taggedAddresses).length > 0 ? { TaggedAddresses: service.taggedAddresses } : {};
}
