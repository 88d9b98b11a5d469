import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { ConnectError } from "@connectrpc/connect";
import { checkedAddress } from "./check-address.ts";

const names: Readonly<Record<string, readonly string[]>> = {
  "tariff.example": ["10.1.2.3", "2a00:1450::1"],
  "metadata.example": ["93.184.216.34", "169.254.169.254"],
  legacy: ["172.20.0.5"],
};
const resolve = async (name: string) => names[name] ?? Promise.reject(new Error("ENOTFOUND"));
const refusal = (address: string, networks?: BlockList) =>
  checkedAddress(address, networks, resolve).then(
    (taken) => `taken as ${taken}`,
    (error) => (error instanceof ConnectError ? error.rawMessage : String(error)),
  );

describe("the address of an outside program", () => {
  for (const [address, taken] of [
    ["127.0.0.1", "127.0.0.1"],
    ["10.0.0.7", "10.0.0.7"],
    ["192.168.1.4", "192.168.1.4"],
    ["93.184.216.34", "93.184.216.34"],
    ["::1", "::1"],
    ["FD12:0:0:0::1", "fd12::1"],
    ["2a00:1450:4001::8a", "2a00:1450:4001::8a"],
    ["::ffff:10.0.0.7", "::ffff:a00:7"],
    ["Tariff.Example.", "tariff.example"],
    ["legacy", "legacy"],
  ] as const) {
    it(`is taken: ${address}`, async () => assert.equal(await checkedAddress(address, undefined, resolve), taken));
  }

  for (const address of [
    ...["169.254.169.254", "0.0.0.0", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255"],
    ...["::", "fe80::1", "ff02::1", "fd00:ec2::254", "2002:a9fe:a9fe::1", "2001:db8::1"],
    ...["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
  ]) {
    it(`is refused: ${address}, where no check may go`, async () => {
      assert.match(await refusal(address), /^address: [0-9a-f.:]+ is in a network that no check may go to$/);
    });
  }

  for (const address of [
    "2852039166",
    "0xa9fea9fe",
    "127.1",
    "a_b",
    "-a",
    "http://a",
    "a:80",
    "a/b",
    "user@a",
    "fe80::1%eth0",
    "a..b",
    " a",
  ]) {
    it(`is refused: ${address}, which is no address or name`, async () => {
      assert.equal(await refusal(address), `address: expected an IP address or a host name, got ${JSON.stringify(address)}`);
    });
  }

  it("is refused when any address of its name is, and when it has none", async () => {
    const where = "which is in a network that no check may go to";
    assert.equal(await refusal("metadata.example"), `address: metadata.example is 169.254.169.254, ${where}`);
    assert.equal(await refusal("nobody.example"), "address: the name nobody.example has no address here");
  });

  it("must lie in the networks that are given, which allow nothing that never is", async () => {
    const networks = new BlockList();
    networks.addSubnet("10.0.0.0", 8, "ipv4");
    networks.addSubnet("169.254.0.0", 16, "ipv4");
    assert.equal(await refusal("10.9.9.9", networks), "taken as 10.9.9.9");
    assert.equal(await refusal("::ffff:10.9.9.9", networks), "taken as ::ffff:a09:909");
    for (const address of ["127.0.0.1", "::1", "169.254.1.1"]) {
      assert.equal(await refusal(address, networks), `address: ${address} is in a network that no check may go to`);
    }
  });
});
