/**
 * `node e2e/pictures/make.ts`: makes the pictures of the README and of services/README.md anew, from a platform that it starts and calls as the
 * README tells.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { platform as services } from "../../services/platform.ts";
import { newPerson, type PlatformPerson } from "../person.ts";
import { startPlatform } from "../platform.ts";
import { until } from "../until.ts";
import { terminalPicture } from "./terminal-picture.ts";

const root = join(import.meta.dirname, "../..");

await using platform = await startPlatform(
  {},
  services.map(({ name }) => name),
);
await terminal("status", "npx heddle status", ["status"]);
await terminal("demo-shop", "npx heddle demo shop", ["demo", "shop"]);
await terminal("demo-value", "npx heddle demo value", ["demo", "value"]);
await terminal("route-explain", "npx heddle route explain GET '/api/v1/users/u1/notifications?page_size=5'", [
  ...["route", "explain", "GET", "/api/v1/users/u1/notifications?page_size=5"],
]);
const ada = await newPerson(platform.gateway, "ada");
await plot("cash-flow", ada, await cashFlow(ada));
await plot("sensor-test", ada, await sensorTest(ada));

await plot("monte-carlo", ada, "/api/v1/calculate/montecarlo", simulation());
await plot("regression", ada, "/api/v1/analyze/regress", regression());

/** What an investment is worth when gain and growth are not known. */
function simulation(): object {
  return {
    expression: "npv(rate, [-cost, gain, gain * growth, gain * growth^2])",
    inputs: [
      { name: "gain", normal: { mean: 400, standardDeviation: 80 } },
      { name: "growth", triangular: { min: 0.9, mode: 1.1, max: 1.2 } },
    ],
    constants: { rate: 0.08, cost: 1000 },
    iterations: 200_000,
    seed: "42",
    thresholds: [0],
  };
}

/** A line through noise. */
function regression(): object {
  const x = Array.from({ length: 40 }, (_, i) => i / 4);
  return { data: { x, y: x.map((value, i) => 2 + 0.9 * value + 1.2 * Math.sin(i * i)) }, response: "y", predictors: ["x"] };
}

/** Twelve months of salaries and expenses. */
async function cashFlow(person: PlatformPerson): Promise<string> {
  const { id: accountId } = await person.post("/api/v1/accounts", { requestId: "a", displayName: "Everyday", currency: "EUR" });
  for (let month = 1; month <= 12; month++) {
    const occurTime = `2025-${String(month).padStart(2, "0")}-05T12:00:00Z`;
    const record = (kind: string, amount: number, category: string) =>
      person.post("/api/v1/transactions", {
        requestId: `${category}${month}`,
        accountId,
        kind,
        amount: String(amount),
        category,
        occurTime,
      });
    await record("TRANSACTION_KIND_INCOME", 310_000, "salary");
    await record("TRANSACTION_KIND_EXPENSE", 98_000, "rent");
    await record("TRANSACTION_KIND_EXPENSE", 40_000 + ((month * 7919) % 97) * 900, "groceries");
    await record("TRANSACTION_KIND_EXPENSE", month === 7 ? 190_000 : 15_000, "travel");
  }
  return "/api/v1/analytics/cash_flow?period=2025&width=900";
}

/** A minute of a boiler whose valve swings. */
async function sensorTest(person: PlatformPerson): Promise<string> {
  const samples = Array.from({ length: 1200 }, (_, i) => 71 + 0.04 * Math.sin(i / 9) + 0.015 * Math.sin(i * i));
  const { id } = await person.post("/api/v1/sensors/temperature/tests", { sensorId: "boiler 3", sampleRateHz: 20, samples });
  await until("the verdict", async () => (await person.get(`/api/v1/tests/${id}`)).status !== "STATUS_PROCESSING");
  return `/api/v1/tests/${id}`;
}

/** What a GET, or a POST of `body`, answers as a picture. */
async function plot(name: string, { token }: PlatformPerson, path: string, body?: object): Promise<void> {
  const answer = await fetch(`${platform.gateway}${path}`, {
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    headers: { accept: "image/svg+xml", authorization: `Bearer ${token}`, "content-type": "application/json" },
  });
  const svg = await answer.text();
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${svg}`);
  await save(name, svg);
}

async function terminal(name: string, prompt: string, words: readonly string[]): Promise<void> {
  const { env, dataDir } = platform;
  const command = [process.execPath, "cli/heddle.mjs", ...words];
  const rewrite = (text: string) => standardPorts(text.replace(dataDir, ".heddle"));
  await save(name, await terminalPicture({ prompt, command, env, cwd: root, rewrite }));
}

/** A first user has the standard ports; the picture's platform may stand beside another one. */
function standardPorts(text: string): string {
  const { offset } = platform;
  const known = new Set([8500, 5432, ...services.flatMap(({ port }) => [port, port + 1000])]);
  return text.replace(/(\D|^)(\d{4,5})\b/g, (all, before: string, port: string) => {
    const standard = String(Number(port) - offset);
    if (!known.has(Number(standard))) return all;
    // In a table the columns stay in line.
    return before === ":" ? `:${standard}` : `${before}${standard.padStart(port.length)}`;
  });
}

async function save(name: string, svg: string): Promise<void> {
  const file = join(import.meta.dirname, `${name}.svg`);
  await writeFile(file, svg);
  process.stdout.write(`${file}\n`);
}
