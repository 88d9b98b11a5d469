import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Instance } from "#mesh/registry/registry.ts";
import type { SagaLogEntry, SagaView } from "#mesh/saga/saga.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { humanDuration } from "../terminal/quantity.ts";
import { cut, tableLines } from "../terminal/table.ts";
import { commandLog, platformRegistry } from "./platform-registry.ts";

/** The options of `heddle saga list`. */
export interface SagaListOptions {
  /** Only this status. */
  readonly status?: string;
  /** At most so many of each service. */
  readonly limit: number;
  readonly json?: boolean;
}

/** What an answer of the admin listener has after its way through JSON: times are texts. */
type Json<T> = { [K in keyof T]: T[K] extends Date ? string : T[K] extends Date | undefined ? string | undefined : T[K] };

/** How long the registry and each service may take to answer, in milliseconds. */
const patienceMs = 3000;

/**
 * `heddle saga list`: the sagas of every service that has some, newest first.
 *
 * @throws Failure when the status makes no sense.
 */
export async function sagaList(context: CommandContext, options: SagaListOptions): Promise<number> {
  const query = new URLSearchParams({ page_size: String(options.limit) });
  if (options.status !== undefined) query.set("status", options.status);
  const found: { service: string; saga: Json<SagaView> }[] = [];
  for (const { service, answer } of await askAll(context, "GET", `/sagas?${query}`)) {
    for (const saga of (answer as { sagas: Json<SagaView>[] }).sagas) found.push({ service, saga });
  }
  found.sort((a, b) => (a.saga.createTime < b.saga.createTime ? 1 : -1));
  const { out, paint } = context;
  if (options.json === true) {
    out.write(`${JSON.stringify(found, null, 2)}\n`);
    return 0;
  }
  if (found.length === 0) {
    out.write("no sagas\n");
    return 0;
  }
  const head = ["id", "service", "saga", "status", "step", "attempt", "begun", "why"].map(paint.bold);
  const rows = found.map(({ service, saga }) => [
    ...[saga.id, service, saga.name, coloured(context, saga.status), saga.step, String(saga.attempts), saga.createTime],
    saga.failure?.message ?? "",
  ]);
  for (const line of tableLines([head, ...rows], [5])) out.write(`${cut(line, out.columns ?? 200)}\n`);
  return 0;
}

/**
 * `heddle saga show`: one saga with its state and every attempt.
 *
 * @throws Failure when no service has it.
 */
export async function sagaShow(context: CommandContext, id: string, options: { readonly json?: boolean }): Promise<number> {
  const [found] = await askAll(context, "GET", `/sagas/${encodeURIComponent(id)}`);
  if (found === undefined) throw new Failure(`no service that answers has a saga ${id}`);
  const { saga, log } = found.answer as { saga: Json<SagaView>; log: Json<SagaLogEntry>[] };
  const { out, paint } = context;
  if (options.json === true) {
    out.write(`${JSON.stringify({ service: found.service, saga, log }, null, 2)}\n`);
    return 0;
  }
  out.write(`${paint.bold(saga.id)} ${saga.name} of ${found.service}: ${coloured(context, saga.status)} at ${saga.step}\n`);
  if (saga.failure !== undefined) out.write(`why: ${saga.failure.message}\n`);
  if (saga.nextAttemptTime !== undefined) out.write(`next attempt: ${String(saga.nextAttemptTime)}\n`);
  out.write(`state: ${JSON.stringify(saga.state)}\n\n`);
  const head = ["begun", "action", "step", "attempt", "took", "outcome", "message"].map(paint.bold);
  const rows = log.map(({ startTime, endTime, action, step, attempt, outcome, message }) => [
    ...[startTime, action, step, String(attempt), endTime === undefined ? "-" : took(startTime, endTime), outcome, message],
  ]);
  for (const line of tableLines([head, ...rows], [3, 4])) out.write(`${cut(line, out.columns ?? 200)}\n`);
  return 0;
}

/**
 * `heddle saga retry`: makes a saga try again now.
 *
 * @throws Failure when no service has it, or when it has ended.
 */
export async function sagaRetry(context: CommandContext, id: string): Promise<number> {
  const [found] = await askAll(context, "POST", `/sagas/${encodeURIComponent(id)}/retry`);
  if (found === undefined) throw new Failure(`no service that answers has a saga ${id}`);
  const { saga } = found.answer as { saga: SagaView };
  context.out.write(`${id} of ${found.service} is ${saga.status} at ${saga.step}, and tries again now\n`);
  return 0;
}

/** Asks one instance of each service, and leaves out those that have no sagas, or not this one. */
async function askAll(context: CommandContext, method: string, path: string): Promise<{ service: string; answer: unknown }[]> {
  const answers = await Promise.all(
    [...(await adminAddresses(context))].map(async ([service, addresses]) => {
      // Instances share a database, so that any of them knows all.
      for (const address of addresses) {
        const { status, body } = await ask(address, method, path).catch((error: unknown) => ({
          status: 0,
          body: messageOf(error),
        }));
        if (status === 200) return [{ service, answer: JSON.parse(body) as unknown }];
        if (status === 400) throw new Failure(`${service}: ${problemOf(body)}`);
        if (status === 404) return [];
      }
      return [];
    }),
  );
  return answers.flat();
}

/** Where the admin listeners are, by service, as the registry knows them. @throws Failure when it does not answer. */
async function adminAddresses(context: CommandContext): Promise<ReadonlyMap<string, readonly string[]>> {
  await using registry = await platformRegistry(context, commandLog(context));
  let names: readonly string[] = [];
  using catalog = registry.watchCatalog((services) => {
    names = [...services].filter(([, tags]) => tags.includes("grpc")).map(([name]) => name);
  });
  if (!(await inTime(catalog.first))) throw new Failure(`the registry at ${registry.status().address} does not answer`);
  const found = new Map<string, readonly string[]>();
  await Promise.all(
    names.map(async (name) => {
      let instances: readonly Instance[] = [];
      using watch = registry.watchService(name, (seen) => {
        instances = seen;
      });
      await inTime(watch.first);
      const addresses = instances
        .filter(({ status, meta }) => status !== "critical" && meta.admin !== undefined && meta.outside === undefined)
        .map(({ address, meta }) => `${address}:${meta.admin}`);
      if (addresses.length > 0) found.set(name, addresses);
    }),
  );
  return found;
}

/** The Host header is the listener's own address, as its guard against web pages asks for. */
function ask(address: string, method: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(`http://${address}${path}`, { method, timeout: patienceMs }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body })).on("error", reject);
    });
    call.on("timeout", () => call.destroy(new Error("no answer in time"))).on("error", reject);
    call.end();
  });
}

async function inTime(work: Promise<void>): Promise<boolean> {
  const patience = new AbortController();
  const late = sleep(patienceMs, false, { signal: patience.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    patience.abort();
  }
}

function problemOf(body: string): string {
  try {
    return String((JSON.parse(body) as { error?: unknown }).error);
  } catch {
    return body.slice(0, 200);
  }
}

function coloured({ paint }: CommandContext, status: string): string {
  const colours: Readonly<Record<string, (text: string) => string>> = {
    DONE: paint.green,
    RUNNING: paint.cyan,
    COMPENSATING: paint.yellow,
    STUCK: paint.red,
  };
  return (colours[status] ?? paint.dim)(status);
}

function took(start: string, end: string): string {
  const ms = Date.parse(end) - Date.parse(start);
  return ms < 1000 ? `${ms} ms` : humanDuration(ms);
}
