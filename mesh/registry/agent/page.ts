/** The page at /ui: every instance with its health, as HTML without scripts. It asks for itself anew every two seconds. */
import { type CheckStatus, checksOf, worstCheck } from "./model.ts";
import { type AgentParts, agentVersion } from "./parts.ts";

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
small, .tags { color: #888; }
.passing { color: #2a8a3e; } .warning { color: #b07b00; } .critical { color: #c62f2f; font-weight: 600; }
`;

/** The page for the agent's present state. */
export function uiPage({ state, datacenter, address, keys }: AgentParts): string {
  const names = [...new Set(state.nodes().flatMap(({ services }) => [...services.values()].map(({ name }) => name)))].sort();
  const rows = names.flatMap((name) => state.instances(name).map((instance) => ({ name, ...instance })));
  const body = rows.map(({ name, table, service }) => {
    const checks = checksOf(table, service.id);
    const status = worstCheck(checks);
    const told = checks
      .filter((check) => check.serviceId !== "" || check.status !== "passing")
      .map(({ output, notes }) => output || notes);
    const where = `${service.address || table.node.address}:${service.port}`;
    return `<tr><td>${escapeHtml(name)}<br><small>${escapeHtml(service.id)}</small></td><td>${escapeHtml(where)}</td>
<td class="${status}">${word(status)}</td><td>${escapeHtml(told.join("; "))}</td><td class="tags">${escapeHtml(service.tags.join(", "))}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Services</title><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><style>${style}</style></head><body>
<h1>Services</h1>
<p>Heddle's embedded agent at ${escapeHtml(address)}, datacenter ${escapeHtml(datacenter)}: it speaks a part of Consul's API, and is not Consul
(${escapeHtml(agentVersion)}). Run a real Consul and set CONSUL_HTTP_ADDR to use that and its UI instead.</p>
<table><thead><tr><th>Service</th><th>Address</th><th>Health</th><th>Last check</th><th>Tags</th></tr></thead>
<tbody>${body.join("\n") || '<tr><td colspan="5">No service is registered.</td></tr>'}</tbody></table>
<p><small>${keys.all().length} keys in the key-value store.</small></p>
</body></html>
`;
}

function word(status: CheckStatus): string {
  return { passing: "✓ passing", warning: "! warning", critical: "✗ critical" }[status];
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
