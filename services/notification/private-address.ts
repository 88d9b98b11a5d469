/**
 * Which IP addresses are on the public internet. A URL that a user chose must lead to one, or it could reach what only this machine
 * and its network can.
 */
import { BlockList, isIP, isIPv4 } from "node:net";

/**
 * True unless `address` (an IPv4 or IPv6 literal) is a globally reachable unicast address by the IANA special-purpose registries
 * (RFC 6890): private, loopback, link-local, shared (CGNAT), multicast, unique local, documentation, benchmarking and reserved ranges
 * are not. An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as itself. Anything that is no address is private, too.
 */
export function isPrivateAddress(address: string): boolean {
  if (isIPv4(address)) return notGlobal.check(address, "ipv4");
  // A zone (fe80::1%eth0) names a link of this machine.
  if (isIP(address) !== 6 || address.includes("%")) return true;
  const embedded = embeddedIPv4(address);
  if (embedded !== undefined) return notGlobal.check(embedded, "ipv4");
  // Only 2000::/3 is handed out to the world; a few parts of it are not.
  return !global6.check(address, "ipv6") || notGlobal6.check(address, "ipv6");
}

const notGlobal = blockList("ipv4", [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // shared by carriers (CGNAT)
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local, and the metadata services of clouds
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays, deprecated
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarking
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, and broadcast
]);

const global6 = blockList("ipv6", [["2000::", 3]]);

const notGlobal6 = blockList("ipv6", [
  ["2001::", 23], // protocol assignments, Teredo among them
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4: leads to any IPv4 address
  ["3fff::", 20], // documentation
]);

/** The IPv4 address in ::ffff:0:0/96 (mapped) or 64:ff9b::/96 (NAT64); undefined for any other. */
function embeddedIPv4(address: string): string | undefined {
  // The URL parser writes every IPv6 address in its one canonical form, all of it in hex.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const match = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(canonical);
  if (match === null) return canonical === "64:ff9b::" ? "0.0.0.0" : undefined;
  const [high, low] = [Number.parseInt(match[1] ?? "0", 16), Number.parseInt(match[2] ?? "0", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function blockList(family: "ipv4" | "ipv6", ranges: readonly (readonly [string, number])[]): BlockList {
  const blocked = new BlockList();
  for (const [network, prefix] of ranges) blocked.addSubnet(network, prefix, family);
  return blocked;
}
