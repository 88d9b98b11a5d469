/** Every service config of a process: the files beside the contracts, overlaid live by the registry's key-value store. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonMistake } from "../policy/json-fields.ts";
import {
  defaultServiceConfig,
  type MethodConfig,
  methodConfigOf,
  parseServiceConfig,
  type ServiceConfig,
  ServiceConfigError,
} from "../policy/service-config.ts";
import type { Registry, Watch } from "../registry/registry.ts";
import type { Logger } from "../telemetry/log.ts";

/** Live service configs. A call takes its config once and keeps that object to its end. */
export interface ServiceConfigSource {
  /** What holds for a method now. Contracts without a config have the defaults. */
  methodConfig(contract: string, method: string): MethodConfig;
  /** The whole config of a contract now. The same object until it changes. */
  serviceConfig(contract: string): ServiceConfig;
}

/** Where the configs come from. */
export interface ServiceConfigsOptions {
  /** The folder of contracts, `proto/`: the config of package `auth.v1` is `auth/v1/service-config.json` in it. */
  readonly root: URL;
  /** Watches `heddle/service-config/<contract>`; none: files alone. */
  readonly registry?: Registry;
  /** Whether a method exists, asked with method "" for the contract itself; default: everything exists. */
  readonly known?: (contract: string, method: string) => boolean;
  readonly log: Logger;
  /**
   * Contracts whose key is read before this settles (for at most a second, since the registry may be away). All others are
   * watched from the first call on, so that a process asks only for what it calls. Default none.
   */
  readonly watch?: readonly string[];
}

/**
 * Reads every `service-config.json` under the root, then follows the registry.
 *
 * @throws ServiceConfigError naming every mistake of every file: a bad file stops the boot.
 */
export async function loadServiceConfigs(options: ServiceConfigsOptions): Promise<ServiceConfigSource & AsyncDisposable> {
  const source = new ServiceConfigs(await readFiles(options), options);
  await source.follow(options.watch ?? []);
  return source;
}

/** Milliseconds that the boot waits for the keys that it is told to watch. */
const bootWaitMs = 1000;
const fileName = "service-config.json";
const keyPrefix = "heddle/service-config/";

/** One contract: what its file says, and what holds. */
interface Entry {
  readonly file: ServiceConfig;
  current: ServiceConfig;
  watch: Watch | undefined;
}

class ServiceConfigs implements ServiceConfigSource, AsyncDisposable {
  readonly #files: ReadonlyMap<string, ServiceConfig>;
  readonly #options: ServiceConfigsOptions;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  /** `files` by package. */
  constructor(files: ReadonlyMap<string, ServiceConfig>, options: ServiceConfigsOptions) {
    this.#files = files;
    this.#options = options;
  }

  methodConfig(contract: string, method: string): MethodConfig {
    return methodConfigOf(this.serviceConfig(contract), contract, method);
  }

  serviceConfig(contract: string): ServiceConfig {
    return (this.#entries.get(contract) ?? this.#open(contract)).current;
  }

  async follow(contracts: readonly string[]): Promise<void> {
    const firsts = contracts.map((contract) => (this.#entries.get(contract) ?? this.#open(contract)).watch?.first);
    const waiting = new AbortController();
    const timeout = sleep(bootWaitMs, undefined, { signal: waiting.signal }).catch(() => undefined);
    await Promise.race([Promise.allSettled(firsts), timeout]);
    waiting.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const entry of this.#entries.values()) entry.watch?.[Symbol.dispose]();
  }

  #open(contract: string): Entry {
    const file = this.#files.get(packageOf(contract)) ?? defaultServiceConfig;
    const entry: Entry = { file, current: file, watch: undefined };
    this.#entries.set(contract, entry);
    if (!this.#closed) {
      entry.watch = this.#options.registry?.watchKey(keyPrefix + contract, (text) => this.#take(contract, entry, text));
      entry.watch?.first.catch((error: unknown) =>
        this.#options.log.debug({ contract, err: error }, "service config watch ended"),
      );
    }
    return entry;
  }

  /** A value of the key: taken when it is right, else the last good config stays; undefined is "back to the file". */
  #take(contract: string, entry: Entry, text: string | undefined): void {
    const { log, known } = this.#options;
    const key = keyPrefix + contract;
    try {
      const next =
        text === undefined ? entry.file : parse(text, (service) => service === contract, `contract ${contract}`, known);
      if (next.version === entry.current.version) return;
      entry.current = next;
      log.info({ contract, key, version: next.version, from: text === undefined ? "file" : "key" }, "service config changed");
    } catch (error) {
      if (!(error instanceof ServiceConfigError)) throw error;
      log.error(
        { contract, key, version: entry.current.version, mistakes: error.mistakes },
        `service config refused: ${error.message}`,
      );
    }
  }
}

/** Every file under the root by the package of its folder. */
async function readFiles({ root, known }: ServiceConfigsOptions): Promise<ReadonlyMap<string, ServiceConfig>> {
  const files = new Map<string, ServiceConfig>();
  const mistakes: JsonMistake[] = [];
  const base = new URL(root.href.endsWith("/") ? root.href : `${root.href}/`);
  const paths = (await readdir(base, { recursive: true })).map((path) => path.replaceAll("\\", "/"));
  for (const path of paths.filter((path) => path === fileName || path.endsWith(`/${fileName}`)).sort()) {
    const folder = path.split("/").slice(0, -1).join(".");
    const text = await readFile(new URL(path, base), "utf8");
    try {
      files.set(
        folder,
        parse(text, (service) => packageOf(service) === folder, `a contract of package ${folder}`, known),
      );
    } catch (error) {
      if (!(error instanceof ServiceConfigError)) throw error;
      for (const mistake of error.mistakes) mistakes.push({ ...mistake, path: `${path}: ${mistake.path}` });
    }
  }
  if (mistakes.length > 0) throw new ServiceConfigError(mistakes);
  return files;
}

/** Parses one document, which may name no contracts but those it is read for: an entry for another would never be looked at. */
function parse(
  text: string,
  covers: (contract: string) => boolean,
  scope: string,
  known: ServiceConfigsOptions["known"],
): ServiceConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ServiceConfigError([{ path: "$", expected: "JSON", got: error instanceof Error ? error.message : String(error) }]);
  }
  return parseServiceConfig(json, {
    covers: { contract: covers, expected: scope },
    ...(known === undefined ? {} : { known }),
  });
}

/** `auth.v1` of `auth.v1.AuthService`; empty for a contract without a package. */
function packageOf(contract: string): string {
  return contract.slice(0, Math.max(0, contract.lastIndexOf(".")));
}
