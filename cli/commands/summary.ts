import type { PlatformStatus } from "../supervisor/control-server.ts";
import type { Plan } from "../supervisor/plan.ts";
import { servesUi } from "../supervisor/registry-probe.ts";
import type { Paint } from "../terminal/paint.ts";
import { humanDuration } from "../terminal/quantity.ts";
import { tableLines } from "../terminal/table.ts";

/** What a person wants to know once the platform runs: where everything is, and a first thing to try. */
export async function summary(plan: Plan, status: PlatformStatus, paint: Paint, tookMs: number): Promise<string> {
  const gateway = status.processes.find(({ service }) => service === "gateway");
  const gatewayUrl = gateway === undefined ? undefined : `http://${callable(plan)}:${gateway.port}`;
  const services = plan.specs.filter(({ kind, name }) => kind === "service" && name !== "gateway");
  const rows = [
    ...(gatewayUrl === undefined ? [] : [["gateway", gatewayUrl, `${gatewayUrl}/health`]]),
    await registryRow(plan),
    ...services.map(({ name, port, adminPort }) => [
      name,
      `${callable(plan)}:${port}`,
      `admin http://${callable(plan)}:${adminPort}`,
    ]),
    ...(status.postgres === undefined ? [] : [["PostgreSQL", withoutPassword(status.postgres.url), ""]]),
  ];
  const lines = tableLines(
    rows.map(([what = "", where = "", more = ""]) => [`  ${paint.bold(what)}`, paint.cyan(where), paint.dim(more)]),
  );
  return [
    "",
    `Ready in ${humanDuration(tookMs)}.`,
    "",
    ...lines,
    ...firstCall(gatewayUrl),
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}

/** The embedded registry has one plain page; a real Consul may serve its UI. */
async function registryRow({ consul: { address, embedded } }: Plan): Promise<readonly string[]> {
  if (embedded) return ["registry", `${address.origin}/ui`, "embedded, with Consul's HTTP API"];
  return (await servesUi(address)) ? ["Consul", `${address.origin}/ui`, ""] : ["Consul", address.origin, "its HTTP API"];
}

function firstCall(gateway: string | undefined): readonly string[] {
  if (gateway === undefined) return [];
  const user = { email: "ada@example.com", password: "a long analytical engine", name: "Ada Lovelace" };
  return [
    "",
    "Try it: register a user",
    "",
    `  curl -s ${gateway}/api/v1/auth/register -H 'content-type: application/json' \\`,
    `    -d '${JSON.stringify(user)}'`,
  ];
}

function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.password = "";
  return shown.href;
}

function callable(plan: Plan): string {
  const { host } = plan.settings;
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
}
