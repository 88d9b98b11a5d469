/** /v1/agent: what this agent itself registers and checks. */
import { createHash } from "node:crypto";
import { readCheck, readService, readStatus } from "./definitions.ts";
import { Fields, parseBody } from "./fields.ts";
import { type CheckStatus, noPlan, type ServiceRecord } from "./model.ts";
import type { AgentParts } from "./parts.ts";
import { refuse } from "./refusal.ts";
import { type Call, ok, type Reply, type Route } from "./routing.ts";
import { readWaitMs } from "./server.ts";
import { sorted } from "./state.ts";
import {
  agentHealthView,
  agentServiceView,
  checkView,
  nodeMaintenanceId,
  serfHealthId,
  serviceMaintenancePrefix,
} from "./views.ts";

const defaultReason = (what: string) =>
  `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`;

/** HTTP statuses of /v1/agent/health. */
const healthCodes = { passing: 200, warning: 429, critical: 503, maintenance: 503 } as const;
type Health = keyof typeof healthCodes;

/** The routes under /v1/agent, apart from what the agent says of itself. */
export function agentRoutes(parts: AgentParts): Route[] {
  const { state, runner, settle } = parts;
  const { local } = state;

  async function done(anew: readonly string[] = []): Promise<Reply> {
    await settle(anew);
    return { status: 200 };
  }

  function report(call: Call, status: CheckStatus, output: string): Reply {
    const id = call.params.id ?? "";
    if (!runner.report(id, status, output)) refuse(500, `CheckID ${JSON.stringify(id)} does not have associated TTL`);
    return { status: 200 };
  }

  function maintain(call: Call, id: string, serviceId: string, what: string): Promise<Reply> {
    const enable = call.query.get("enable");
    if (enable !== "true" && enable !== "false")
      refuse(400, enable === null ? "Missing value for enable" : "Invalid value for enable");
    if (enable === "false") state.removeCheck(local, id);
    else {
      const name = `${what} Maintenance Mode`;
      const notes = call.query.get("reason") || defaultReason(what.toLowerCase());
      state.putCheck(local, { id, name, serviceId, notes, status: "critical", output: "", type: "maintenance", plan: noPlan });
    }
    return done();
  }

  return [
    {
      method: "GET",
      path: "/v1/agent/services",
      answer: () => ok(Object.fromEntries(sorted(local.services).map((service) => [service.id, agentServiceView(service)]))),
    },
    {
      method: "GET",
      path: "/v1/agent/checks",
      answer: () => {
        const checks = sorted(local.checks).filter(({ id }) => id !== serfHealthId);
        return ok(
          Object.fromEntries(checks.map((check) => [check.id, { ...checkView(local, check), CreateIndex: 0, ModifyIndex: 0 }])),
        );
      },
    },
    { method: "GET", path: "/v1/agent/health/service/name/:name", answer: (call) => healthByName(parts, call) },
    { method: "GET", path: "/v1/agent/health/service/id/:id", answer: (call) => healthById(parts, call) },
    {
      method: "PUT",
      path: "/v1/agent/service/register",
      answer: (call) => {
        const { service, checks } = readService(parseBody(call.body));
        const kept = new Map([...local.checks].filter(([, check]) => check.serviceId === service.id));
        state.putService(local, service);
        // As in Consul: a check that is registered anew keeps the status that it had, others of the service go with it.
        for (const check of checks) {
          const known = kept.get(check.id);
          kept.delete(check.id);
          state.putCheck(local, known === undefined ? check : { ...check, status: known.status, output: known.output });
        }
        if (call.query.has("replace-existing-checks")) for (const id of kept.keys()) state.removeCheck(local, id);
        return done(checks.map(({ id }) => id));
      },
    },
    {
      method: "PUT",
      path: "/v1/agent/service/deregister/:id",
      answer: (call) => {
        state.removeService(local, call.params.id ?? "");
        return done();
      },
    },
    {
      method: "PUT",
      path: "/v1/agent/service/maintenance/:id",
      answer: (call) => {
        const id = call.params.id ?? "";
        if (!call.query.has("enable")) refuse(400, "Missing value for enable");
        if (!local.services.has(id)) refuse(404, `No service registered with ID ${JSON.stringify(id)}`);
        return maintain(call, serviceMaintenancePrefix + id, id, "Service");
      },
    },
    {
      method: "GET",
      path: "/v1/agent/service/:id",
      answer: (call) => serviceById(parts, call),
    },
    { method: "PUT", path: "/v1/agent/maintenance", answer: (call) => maintain(call, nodeMaintenanceId, "", "Node") },
    {
      method: "PUT",
      path: "/v1/agent/check/register",
      answer: (call) => {
        const check = readCheck(parseBody(call.body));
        const { serviceId } = check;
        if (serviceId !== "" && !local.services.has(serviceId))
          refuse(500, `ServiceID ${JSON.stringify(serviceId)} does not exist`);
        if (check.id === serfHealthId) refuse(400, "serfHealth is the agent's own check");
        state.putCheck(local, check);
        return done([check.id]);
      },
    },
    {
      method: "PUT",
      path: "/v1/agent/check/deregister/:id",
      answer: (call) => {
        if (call.params.id !== serfHealthId) state.removeCheck(local, call.params.id ?? "");
        return done();
      },
    },
    { method: "PUT", path: "/v1/agent/check/pass/:id", answer: (call) => report(call, "passing", call.query.get("note") ?? "") },
    { method: "PUT", path: "/v1/agent/check/warn/:id", answer: (call) => report(call, "warning", call.query.get("note") ?? "") },
    { method: "PUT", path: "/v1/agent/check/fail/:id", answer: (call) => report(call, "critical", call.query.get("note") ?? "") },
    {
      method: "PUT",
      path: "/v1/agent/check/update/:id",
      answer: (call) => {
        const fields = new Fields(parseBody(call.body), ["Status", "Output"]);
        const status = readStatus(fields.text("Status"), `Invalid check status: '${fields.text("Status")}'`);
        return report(call, status, fields.text("Output").slice(0, 4096));
      },
    },
  ];
}

/** Blocks by content hash instead of an index, as Consul does for what only the agent knows. */
async function serviceById({ state }: AgentParts, call: Call): Promise<Reply> {
  const id = call.params.id ?? "";
  const known = call.query.get("hash");
  const until = Date.now() + readWaitMs(call.query, Math.random());
  let service = state.local.services.get(id);
  while (service !== undefined && contentHash(service) === known && !call.signal.aborted) {
    const remainingMs = until - Date.now();
    if (remainingMs <= 0) break;
    await state.index.wait("catalog", state.index.of("catalog"), remainingMs, call.signal);
    service = state.local.services.get(id);
  }
  if (service === undefined) return { status: 404, body: `unknown service ID: ${id}` };
  const hash = contentHash(service);
  return { status: 200, headers: { "X-Consul-ContentHash": hash }, json: { ...agentServiceView(service), ContentHash: hash } };
}

/** Equal for equal definitions. */
export function contentHash(service: ServiceRecord): string {
  return createHash("sha256")
    .update(JSON.stringify(agentServiceView(service)))
    .digest("hex")
    .slice(0, 16);
}

function healthByName({ state }: AgentParts, call: Call): Reply {
  const name = call.params.name ?? "";
  const views = sorted(state.local.services)
    .filter((service) => service.name === name)
    .map((service) => agentHealthView(state.local, service));
  const order: readonly Health[] = ["critical", "maintenance", "warning", "passing"];
  const worst = order.find((status) => views.some((view) => view.AggregatedStatus === status));
  if (worst === undefined) return healthReply(call, 404, `ServiceName ${name} Not Found`, "critical", []);
  return healthReply(call, healthCodes[worst], worst, worst, views);
}

function healthById({ state }: AgentParts, call: Call): Reply {
  const id = call.params.id ?? "";
  const service = state.local.services.get(id);
  const nothing = { AggregatedStatus: "critical", Service: null, Checks: null };
  if (service === undefined) return healthReply(call, 404, `ServiceId ${id} not found`, "critical", nothing);
  const view = agentHealthView(state.local, service);
  return healthReply(call, healthCodes[view.AggregatedStatus], view.AggregatedStatus, view.AggregatedStatus, view);
}

function healthReply(call: Call, status: number, reason: string, text: string, json: unknown): Reply {
  // A header carries no line breaks and no bytes beyond Latin-1, which an id may have.
  const headers = { "X-Consul-Reason": reason.replace(/[^\x20-\x7e]/g, "?") };
  if (call.query.get("format") !== "text") return { status, headers, json };
  return { status, headers: { ...headers, "Content-Type": "text/plain" }, body: text };
}
