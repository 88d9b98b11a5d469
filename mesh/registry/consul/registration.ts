/**
 * Keeps one instance registered at the agent.
 *
 *   registering --taken--> watching --404--> registering       the agent forgot: it was restarted empty, or told to
 *   registering --no answer--> backoff --> registering
 *   watching --no answer--> backoff --> watching                the agent is away: look again when it is back
 *
 * The watch is a blocking query by content hash on /v1/agent/service/<id>, so a loss is seen at once and costs nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { canceled } from "#mesh/errors.ts";
import type { InstanceCheck, Registration, RegistrationHandle } from "#mesh/registry/registry.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { backoffMs, queryTimeoutMs } from "./blocking.ts";
import { type Connection, isRefusal } from "./connection.ts";

/** Milliseconds that the agent may hold the query for the instance. */
const waitMs = 30_000;
/** Milliseconds between two looks at least, should the agent answer at once each time. */
const minPauseMs = 500;
/** Milliseconds that the farewell may take: a stopping process does not wait for a registry that is away. */
const deregisterMs = 1000;

/** Registers, and settles once the agent took it. @throws ConnectError CANCELLED when `signal` aborts first. */
export async function keepRegistered(
  connection: Connection,
  registration: Registration,
  log: Logger,
  signal: AbortSignal | undefined,
): Promise<RegistrationHandle> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    await registerUntilTaken(connection, registration, log, stop.signal);
    // Taken at the very moment of the abort: nobody will hold the handle, so nobody would deregister.
    if (stop.signal.aborted) await sayFarewell(connection, registration, log);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  if (stop.signal.aborted) throw givenUp(registration.id);
  const kept = keep(connection, registration, log, stop.signal);
  return {
    id: registration.id,
    [Symbol.asyncDispose]: async () => {
      if (stop.signal.aborted) return;
      stop.abort();
      await kept;
      await sayFarewell(connection, registration, log);
    },
  };
}

/**
 * The definition for PUT /v1/agent/service/register. The check begins as passing: a process registers when it already
 * serves, and Consul makes the first check only after a random part of the interval, which would keep a good instance out of
 * rotation for up to two seconds. A wrong beginning lives at most one interval; callers' own balancing bridges that.
 */
export function definition(registration: Registration) {
  const { id, service, address, port, tags, meta, checkIntervalMs, checkTimeoutMs, deregisterAfterMs } = registration;
  const { check = { kind: "grpc", service: "" }, initialStatus = "passing" } = registration;
  return {
    id,
    name: service,
    address,
    port,
    tags: [...tags],
    meta: { ...meta },
    check: {
      ...probe(check, address, port, service),
      interval: `${checkIntervalMs}ms`,
      // Above the interval: on a busy machine a late answer is no reason to lose the instance.
      timeout: `${checkTimeoutMs ?? Math.max(3000, checkIntervalMs)}ms`,
      status: initialStatus,
      ...(deregisterAfterMs === 0 ? {} : { deregistercriticalserviceafter: `${deregisterAfterMs}ms` }),
    },
  };
}

function probe(check: InstanceCheck, address: string, port: number, service: string) {
  if (check.kind === "http") return { name: `GET ${check.url}`, http: check.url, method: "GET" };
  const host = address.includes(":") ? `[${address}]` : address;
  const named = check.service === "" ? "" : `/${check.service}`;
  return { name: `grpc.health.v1 of ${check.service || service}`, grpc: `${host}:${port}${named}` };
}

async function registerUntilTaken(
  connection: Connection,
  registration: Registration,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      await connection.call((consul) => consul.agent.service.register(definition(registration)));
      if (registration.outlives !== true) await removePredecessors(connection, registration, log);
      return;
    } catch (error) {
      // The agent will never take a malformed registration, so there is no sense in asking again.
      if (isRefusal(error) && error.status === 400) throw connection.errorFor(`register ${registration.id}`, error);
      if (failures === 1 && isRefusal(error))
        log.warn({ err: error, id: registration.id }, "the registry refuses the registration; trying on");
      await sleep(backoffMs(failures, Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }
  throw givenUp(registration.id);
}

/**
 * Removes what a process that died left behind at the address and port that this one now holds: its check would pass again,
 * and one process would count as two. After the registration, so that the service is never without an instance.
 */
async function removePredecessors(connection: Connection, registration: Registration, log: Logger): Promise<void> {
  const { id, service, address, port } = registration;
  try {
    const services = Object.values((await connection.call((consul) => consul.agent.services())) ?? {});
    const dead = services.filter(
      (one) => one.Service === service && one.Address === address && one.Port === port && one.ID !== id,
    );
    for (const { ID } of dead) {
      log.info({ id: ID }, "removing the registration of a process that died");
      await connection.call((consul) => consul.agent.service.deregister(ID));
    }
  } catch (error) {
    log.warn({ err: error, id }, "the registry could not be asked for registrations that were left behind");
  }
}

async function keep(connection: Connection, registration: Registration, log: Logger, signal: AbortSignal): Promise<void> {
  const path = `/v1/agent/service/${encodeURIComponent(registration.id)}`;
  let hash: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const query: Record<string, string> = hash === undefined ? {} : { hash, wait: `${waitMs}ms` };
      const startedAt = Date.now();
      const answer = await connection.get(path, query, queryTimeoutMs(hash === undefined ? 0 : 1, waitMs), signal);
      if (answer.status === 404) {
        log.warn({ id: registration.id }, "the registry forgot this instance; registering again");
        await registerUntilTaken(connection, registration, log, signal);
        hash = undefined;
      } else if (answer.status === 200) {
        connection.noteGood(Date.now());
        hash = answer.hash;
      } else {
        throw new Error(`expected status 200 or 404, got ${answer.status} ${answer.body.slice(0, 200)}`.trimEnd());
      }
      failures = 0;
      const spentMs = Date.now() - startedAt;
      if (spentMs < minPauseMs) await sleep(minPauseMs * (1 + Math.random()), undefined, { signal });
    } catch (error) {
      if (signal.aborted) return;
      connection.noteFailure(error);
      failures += 1;
      hash = undefined;
      await sleep(backoffMs(failures, Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Deregisters at the end of a handle, unless the instance lives on. Never rejects: its check will fail, and the agent removes it in its time. */
async function sayFarewell(connection: Connection, { id, outlives }: Registration, log: Logger): Promise<void> {
  if (outlives === true) return;
  try {
    await deregister(connection, id);
  } catch (error) {
    log.warn({ err: error, id }, "the registry could not be told that this instance goes");
  }
}

/** Deregisters; done as well when the agent has no such instance. @throws CallFailure. */
export async function deregister(connection: Connection, id: string): Promise<void> {
  try {
    const farewell = { id, timeout: deregisterMs };
    await connection.call((consul) => consul.agent.service.deregister(farewell));
  } catch (error) {
    // 404: the agent forgot the instance before.
    if (!isRefusal(error) || error.status !== 404) throw error;
  }
}

function givenUp(id: string) {
  return canceled(`the registration of ${id} was given up before the registry took it`);
}
