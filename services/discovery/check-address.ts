/**
 * Where the registry may be sent to check a program. It makes its checks from inside the network, so an address that somebody names
 * must not be one that only this machine or its cloud can mean.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP, isIPv4 } from "node:net";
import { invalidArgument } from "#mesh/errors.ts";

/** All addresses of a host name; rejects when there is none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** Milliseconds that the resolution of a name may take. */
const resolveMs = 2000;

/**
 * The address in its one canonical form: an IP address as it is written shortest, a name in lower case. A name is resolved, and each of
 * its addresses must be allowed. The registry resolves it again at each check: a name whose owner turns it elsewhere is a registration
 * that an administrator trusted.
 *
 * @param networks the only networks that are allowed; undefined: all but those that never are
 * @throws INVALID_ARGUMENT naming address.
 */
export async function checkedAddress(
  text: string,
  networks: BlockList | undefined,
  resolve: Resolve = resolveAll,
): Promise<string> {
  const address = canonical(text);
  if (address === undefined) throw refused(`expected an IP address or a host name, got ${JSON.stringify(text)}`);
  if (isIP(address) !== 0) {
    if (!isAllowed(address, networks)) throw refused(`${address} is in a network that no check may go to`);
    return address;
  }
  let addresses: readonly string[];
  try {
    addresses = await resolve(address);
  } catch (cause) {
    throw Object.assign(refused(`the name ${address} has no address here`), { cause });
  }
  const bad = addresses.find((one) => !isAllowed(one, networks));
  if (bad !== undefined) throw refused(`${address} is ${bad}, which is in a network that no check may go to`);
  return address;
}

/** Whether a check may go to an IP address. One that holds an IPv4 address (mapped, NAT64) is judged as that. */
export function isAllowed(address: string, networks: BlockList | undefined): boolean {
  const judged = embeddedIPv4(address) ?? address;
  const family = isIPv4(judged) ? "ipv4" : "ipv6";
  // A zone (fe80::1%eth0) names a link of this machine.
  if (isIP(judged) === 0 || judged.includes("%") || never.check(judged, family)) return false;
  if (family === "ipv6" && !handedOut.check(judged, family)) return false;
  return networks === undefined || networks.check(judged, family);
}

/** Undefined for what is neither an address nor a name. A last label of digits would be read as an address by some resolvers. */
function canonical(text: string): string | undefined {
  const address = text.toLowerCase().replace(/\.$/, "");
  if (isIPv4(address)) return address;
  if (isIP(address) === 6) return address.includes("%") ? undefined : new URL(`http://[${address}]`).hostname.slice(1, -1);
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  return new RegExp(`^(?:${label}[.])*${label}$`).test(address) && !/(?:^|[.])(?:\d+|0x[0-9a-f]*)$/.test(address)
    ? address
    : undefined;
}

async function resolveAll(name: string): Promise<readonly string[]> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${resolveMs} ms`)), resolveMs);
  try {
    const found = await Promise.race([lookup(name, { all: true }), late.promise]);
    return found.map(({ address }) => address);
  } finally {
    clearTimeout(timer);
  }
}

function embeddedIPv4(address: string): string | undefined {
  if (isIP(address) !== 6 || address.includes("%")) return undefined;
  // The URL parser writes every IPv6 address in its one canonical form, all of it in hex.
  const match = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(
    new URL(`http://[${address}]`).hostname.slice(1, -1),
  );
  if (match === null) return undefined;
  const [high, low] = [Number.parseInt(match[1] ?? "0", 16), Number.parseInt(match[2] ?? "0", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function refused(description: string) {
  return invalidArgument([{ field: "address", description }]);
}

function networksOf(...ranges: readonly (readonly [network: string, prefix: number])[]): BlockList {
  const found = new BlockList();
  for (const [network, prefix] of ranges) found.addSubnet(network, prefix, isIPv4(network) ? "ipv4" : "ipv6");
  return found;
}

const never = networksOf(
  ["0.0.0.0", 8], // this network
  ["169.254.0.0", 16], // link-local, and the metadata services of clouds
  ["100.100.100.200", 32], // Alibaba's metadata service
  ["168.63.129.16", 32], // Azure's
  ["192.0.0.0", 24], // protocol assignments, and Oracle's metadata service
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays, deprecated
  ["198.18.0.0", 15], // benchmarking
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, and broadcast
  ["fd00:ec2::254", 128], // Amazon's metadata service
  ["fd20:ce::254", 128], // Google's
  ["2001::", 23], // protocol assignments, Teredo among them
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4: leads to any IPv4 address
  ["3fff::", 20], // documentation
);

/** IPv6: loopback, unique local and the world's; the rest is link-local, multicast or not handed out. */
const handedOut = networksOf(["::1", 128], ["fc00::", 7], ["2000::", 3]);
