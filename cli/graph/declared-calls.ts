/** Who calls whom by the code: each `client(XService)` in a service's folder, by the service that serves X. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PlatformService } from "../../services/platform.ts";

/** One service calls another. */
export interface Call {
  readonly from: string;
  readonly to: string;
  /** The contracts, sorted. */
  readonly contracts: readonly string[];
}

/** The calls that the code of `platform`'s services declares, in its order. */
export async function declaredCalls(root: string, platform: readonly PlatformService[]): Promise<readonly Call[]> {
  const servers = new Map<string, string>();
  for (const { name, entry } of platform) for (const contract of await contractsServed(root, entry)) servers.set(contract, name);
  return platform.flatMap(({ name, entry }) => {
    const called = new Map<string, string[]>();
    for (const contract of contractsCalled(root, dirname(entry))) {
      const to = servers.get(contract);
      if (to !== undefined && to !== name) called.set(to, [...(called.get(to) ?? []), contract]);
    }
    return [...called].map(([to, contracts]) => ({ from: name, to, contracts: contracts.toSorted() }));
  });
}

async function contractsServed(root: string, entry: string): Promise<readonly string[]> {
  const module = (await import(join(root, entry))) as Readonly<Record<string, unknown>>;
  const definitions = Object.values(module) as { readonly contracts?: readonly { readonly typeName: string }[] }[];
  return definitions.flatMap(({ contracts }) => (Array.isArray(contracts) ? contracts.map(({ typeName }) => typeName) : []));
}

/** The full names of the contracts of which a folder's code makes clients; tests make others and do not count. */
function contractsCalled(root: string, folder: string): ReadonlySet<string> {
  const files = readdirSync(join(root, folder), { encoding: "utf8" }).filter((file) =>
    /^(?!.*\.(test|fixture)\.ts$).*\.ts$/.test(file),
  );
  const found = new Set<string>();
  for (const file of files) {
    const text = readFileSync(join(root, folder, file), "utf8");
    // What a service has from the mesh by a function of its own name counts as well: eventPublisher(mesh) calls events.
    if (/\beventPublisher\(/.test(text)) found.add("events.v1.EventService");
    const packages = new Map<string, string>();
    for (const [, names = "", path = ""] of text.matchAll(/import (?:type )?\{([^}]*)\} from "#gen\/([\w/]+)\/\w+_pb\.ts"/g)) {
      for (const name of names.split(",")) packages.set(name.trim(), path.replaceAll("/", "."));
    }
    for (const [, name = ""] of text.matchAll(/\bclient\((\w+)\)/g)) {
      const pkg = packages.get(name);
      if (pkg !== undefined) found.add(`${pkg}.${name}`);
    }
  }
  return found;
}
