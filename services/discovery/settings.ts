/** The environment that the discovery service reads, beside what every process does. */
import { BlockList, isIP } from "node:net";
import { integer, list, type Setting } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** The networks that checks may go to, as addresses or address/prefix; unset: all but those that never are (check-address.ts). */
  networks: networks("DISCOVERY_NETWORKS"),
  /** How many outside programs may be registered. */
  maxOutside: integer("DISCOVERY_MAX_OUTSIDE", 1, 10_000, 200),
};

function networks(variable: string): Setting<BlockList | undefined> {
  const { parse } = list(variable);
  return {
    variable,
    expected: "networks separated by commas, such as 127.0.0.0/8, 10.0.0.0/8 or fd00::/8",
    fallback: { value: undefined },
    secret: false,
    parse(value) {
      const items = (parse(value) ?? []).map(network);
      if (items.length === 0 || items.includes(undefined)) return undefined;
      const found = new BlockList();
      for (const item of items) if (item !== undefined) found.addSubnet(item.address, item.prefix, item.family);
      return found;
    },
  };
}

function network(text: string) {
  const [, address = "", given] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : 0;
  const prefix = given === undefined ? bits : Number(given);
  return bits === 0 || prefix > bits
    ? undefined
    : { address, prefix, family: bits === 32 ? ("ipv4" as const) : ("ipv6" as const) };
}
