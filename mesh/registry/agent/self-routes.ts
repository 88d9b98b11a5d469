/** What the agent says of itself, and what Consul's UI asks for. */
import { tagsByService } from "./catalog-routes.ts";
import { checksOf, type NodeRecord } from "./model.ts";
import { uiPage } from "./page.ts";
import { type AgentParts, agentVersion } from "./parts.ts";
import { splitTarget } from "./probes.ts";
import { ok, type Route } from "./routing.ts";
import { uiNodeView } from "./views.ts";

/** /v1/status, /v1/agent/self and members, /v1/internal/ui, /ui. */
export function selfRoutes(parts: AgentParts): Route[] {
  const { state, address } = parts;
  const member = () => memberView(parts, state.local.node);
  return [
    { method: "GET", path: "/v1/status/leader", answer: () => ok(address) },
    { method: "GET", path: "/v1/status/peers", answer: () => ok([address]) },
    { method: "GET", path: "/v1/agent/self", answer: () => ok(selfView(parts)) },
    { method: "GET", path: "/v1/agent/members", answer: () => ok([member()]) },
    { method: "GET", path: "/v1/internal/ui/services", topic: () => "checks", answer: () => ok(uiServices(parts)) },
    { method: "GET", path: "/v1/internal/ui/nodes", topic: () => "checks", answer: () => ok(state.nodes().map(uiNodeView)) },
    {
      method: "GET",
      path: "/v1/internal/ui/node/:node",
      topic: (call) => `node:${call.params.node ?? ""}`,
      answer: (call) => {
        const table = state.node(call.params.node ?? "");
        return table === undefined ? { status: 404 } : ok(uiNodeView(table));
      },
    },
    { method: "GET", path: "/", answer: () => ({ status: 302, headers: { Location: "/ui" } }) },
    {
      method: "GET",
      path: "/ui",
      answer: () => ({
        status: 200,
        headers: {
          "Content-Type": "text/html; charset=utf-8",
          "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
          "Cache-Control": "no-store",
        },
        body: uiPage(parts),
      }),
    },
    { method: "GET", path: "/ui/*", answer: () => ({ status: 302, headers: { Location: "/ui" } }) },
  ];
}

function memberView({ address, datacenter }: AgentParts, node: NodeRecord) {
  const tags = {
    build: agentVersion,
    dc: datacenter,
    id: node.id,
    role: "consul",
    segment: "",
    vsn: "2",
    vsn_min: "2",
    vsn_max: "3",
  };
  const protocols = { ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4 };
  return { Name: node.name, Addr: node.address, Port: splitTarget(address).port, Tags: tags, Status: 1, ...protocols };
}

function selfView(parts: AgentParts) {
  const { state, datacenter, address, keys } = parts;
  const { node, services, checks } = state.local;
  const NodeID = node.id;
  return {
    Config: { Datacenter: datacenter, NodeName: node.name, NodeID, Revision: "", Server: true, Version: agentVersion },
    DebugConfig: { Datacenter: datacenter, NodeName: node.name, NodeID, ACLsEnabled: false, ConnectEnabled: false, UIConfig: {} },
    Coord: null,
    Member: memberView(parts, node),
    Stats: {
      agent: { checks: String(checks.size), services: String(services.size), keys: String(keys.all().length) },
      build: { prerelease: "", revision: "", version: agentVersion },
      consul: {
        acl: "disabled",
        bootstrap: "true",
        known_datacenters: "1",
        leader: "true",
        leader_addr: address,
        server: "true",
      },
      runtime: { arch: process.arch, memory_rss_bytes: String(process.memoryUsage.rss()), version: process.version },
    },
    Meta: node.meta ?? {},
  };
}

function uiServices(parts: AgentParts) {
  const { state } = parts;
  return Object.entries(tagsByService(parts)).map(([Name, tags]) => {
    const found = state.instances(Name);
    const statuses = found.flatMap(({ table, service }) => checksOf(table, service.id).map(({ status }) => status));
    const count = (status: string) => statuses.filter((one) => one === status).length;
    return {
      Name,
      Tags: tags.length === 0 ? null : tags.sort(),
      Nodes: [...new Set(found.map(({ table }) => table.node.name))],
      InstanceCount: found.length,
      ChecksPassing: count("passing"),
      ChecksWarning: count("warning"),
      ChecksCritical: count("critical"),
      ExternalSources: null,
      GatewayConfig: {},
    };
  });
}
