/** /v1/catalog and /v1/health: what is registered anywhere, with its health. */
import { readStatus } from "./definitions.ts";
import { Fields, parseBody } from "./fields.ts";
import { type CheckRecord, checksOf, type NodeTable, noPlan, worstCheck } from "./model.ts";
import type { AgentParts } from "./parts.ts";
import { refuse } from "./refusal.ts";
import { type Call, ok, type Route } from "./routing.ts";
import { sorted } from "./state.ts";
import { catalogServiceView, checkView, healthView, nodeView, serfHealthId, serviceView } from "./views.ts";

const nodeFields = [
  "Node",
  "Address",
  "Datacenter",
  "ID",
  "TaggedAddresses",
  "NodeMeta",
  "SkipNodeUpdate",
  "Service",
  "Check",
  "Checks",
];
const serviceFields = [
  "ID",
  "Service",
  "Tags",
  "Address",
  "Meta",
  "Port",
  "Weights",
  "EnableTagOverride",
  "TaggedAddresses",
  "Namespace",
];
const checkFields = [
  "Node",
  "CheckID",
  "Name",
  "Notes",
  "Status",
  "Output",
  "ServiceID",
  "ServiceName",
  "Definition",
  "Type",
  "Namespace",
];

/** The routes under /v1/catalog and /v1/health. */
export function catalogRoutes(parts: AgentParts): Route[] {
  const { state, datacenter, settle } = parts;
  const service = (call: Call) => `service:${call.params.name ?? ""}`;
  const nodeTopic = (call: Call) => `node:${call.params.node ?? ""}`;
  const checks = (keep: (check: CheckRecord, table: NodeTable) => boolean) =>
    state.nodes().flatMap((table) =>
      sorted(table.checks)
        .filter((check) => keep(check, table))
        .map((check) => checkView(table, check)),
    );

  return [
    { method: "GET", path: "/v1/catalog/datacenters", answer: () => ok([datacenter]) },
    {
      method: "GET",
      path: "/v1/catalog/nodes",
      topic: () => "nodes",
      answer: () => ok(state.nodes().map(({ node }) => nodeView(node, datacenter))),
    },
    { method: "GET", path: "/v1/catalog/services", topic: () => "catalog", answer: () => ok(tagsByService(parts)) },
    {
      method: "GET",
      path: "/v1/catalog/service/:name",
      topic: service,
      answer: (call) => ok(instances(parts, call).map(({ table, service }) => catalogServiceView(table, service, datacenter))),
    },
    {
      method: "GET",
      path: "/v1/catalog/node/:node",
      topic: nodeTopic,
      answer: (call) => {
        const table = state.node(call.params.node ?? "");
        if (table === undefined) return ok(null);
        const services = sorted(table.services).map((entry) => [entry.id, serviceView(entry)]);
        return ok({ Node: nodeView(table.node, datacenter), Services: Object.fromEntries(services) });
      },
    },
    {
      method: "PUT",
      path: "/v1/catalog/register",
      answer: async (call) => {
        registerExternal(parts, new Fields(parseBody(call.body), nodeFields));
        await settle();
        return ok(true);
      },
    },
    {
      method: "PUT",
      path: "/v1/catalog/deregister",
      answer: async (call) => {
        deregisterExternal(parts, new Fields(parseBody(call.body), ["Node", "Datacenter", "ServiceID", "CheckID", "Namespace"]));
        await settle();
        return ok(true);
      },
    },
    {
      method: "GET",
      path: "/v1/health/service/:name",
      topic: service,
      answer: (call) => {
        const wanted = call.query.get("passing");
        const onlyPassing = wanted === "" || wanted === "true" || wanted === "1";
        const all = instances(parts, call).filter(
          ({ table, service }) => !onlyPassing || worstCheck(checksOf(table, service.id)) === "passing",
        );
        return ok(all.map(({ table, service }) => healthView(table, service, datacenter)));
      },
    },
    {
      method: "GET",
      path: "/v1/health/node/:node",
      topic: nodeTopic,
      answer: (call) => ok(checks((_, table) => table.node.name === call.params.node)),
    },
    {
      method: "GET",
      path: "/v1/health/checks/:name",
      topic: service,
      answer: (call) => ok(checks((check, table) => table.services.get(check.serviceId)?.name === call.params.name)),
    },
    {
      method: "GET",
      path: "/v1/health/state/:state",
      topic: () => "checks",
      answer: (call) => ok(checks((check) => call.params.state === "any" || check.status === call.params.state)),
    },
  ];
}

/** Every service's name with the union of its instances' tags. Consul lists itself too; this agent is no Consul. */
export function tagsByService({ state }: AgentParts): Record<string, string[]> {
  const tags = new Map<string, Set<string>>();
  for (const { services } of state.nodes()) {
    for (const { name, tags: own } of services.values()) tags.set(name, new Set([...(tags.get(name) ?? []), ...own]));
  }
  const names = [...tags.keys()].sort();
  return Object.fromEntries(names.map((name) => [name, [...(tags.get(name) ?? [])]]));
}

/** The instances of a call's service that have every tag that it asks for. */
function instances({ state }: AgentParts, call: Call) {
  const wanted = call.query.getAll("tag").map((tag) => tag.toLowerCase());
  return state.instances(call.params.name ?? "").filter(({ service }) => {
    const tags = service.tags.map((tag) => tag.toLowerCase());
    return wanted.every((tag) => tags.includes(tag));
  });
}

function registerExternal({ state }: AgentParts, fields: Fields): void {
  const name = fields.text("Node");
  const address = fields.text("Address");
  if (name === "") refuse(500, "Must provide node and address");
  if (name === state.local.node.name) refuse(400, `${name} is the agent's own node: use /v1/agent/service/register`);
  if (address === "" && !fields.flag("SkipNodeUpdate")) refuse(500, "Must provide address if SkipNodeUpdate is not set");
  const service = fields.object("Service", serviceFields);
  if (service !== undefined && service.text("Service") === "") refuse(500, "Must provide service name with ID");
  const checks = [fields.raw("Check"), ...fields.list("Checks")]
    .filter((check) => check !== undefined && check !== null)
    .map((check) => new Fields(check, checkFields, "Check"));
  const table =
    state.node(name) ??
    state.putNode({
      id: fields.text("ID"),
      name,
      address,
      taggedAddresses: fields.textMap("TaggedAddresses"),
      meta: fields.textMap("NodeMeta"),
    });
  if (address !== "" && address !== table.node.address) state.putNode({ ...table.node, address });
  if (service !== undefined) {
    state.putService(table, {
      id: service.text("ID") || service.text("Service"),
      name: service.text("Service"),
      tags: service.texts("Tags"),
      address: service.text("Address"),
      port: service.whole("Port", 65_535),
      meta: service.textMap("Meta"),
      taggedAddresses: {},
      weights: { Passing: 1, Warning: 1 },
      enableTagOverride: service.flag("EnableTagOverride"),
    });
  }
  for (const check of checks) {
    state.putCheck(table, {
      id: check.text("CheckID") || check.text("Name"),
      name: check.text("Name"),
      serviceId: check.text("ServiceID"),
      notes: check.text("Notes"),
      status: readStatus(check.text("Status") || "critical", `Invalid check status: '${check.text("Status")}'`),
      output: check.text("Output"),
      type: "",
      plan: noPlan,
    });
  }
}

/** What the agent itself registered it would put back at once, as Consul's does, so its own node is left alone. */
function deregisterExternal({ state }: AgentParts, fields: Fields): void {
  const name = fields.text("Node");
  if (name === "") refuse(500, "Must provide node");
  const table = state.node(name);
  if (table === undefined || table === state.local) return;
  const serviceId = fields.text("ServiceID");
  const checkId = fields.text("CheckID");
  if (serviceId !== "") state.removeService(table, serviceId);
  else if (checkId !== "" && checkId !== serfHealthId) state.removeCheck(table, checkId);
  else state.removeNode(name);
}
