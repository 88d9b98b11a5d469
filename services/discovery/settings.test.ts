import assert from "node:assert/strict";
import { readConfig } from "#mesh/config.ts";
import { settings } from "./settings.ts";

describe("DISCOVERY_NETWORKS", () => {
  it("is a list of networks and addresses: 10.0.0.0/8, 192.168.1.4, fd00::/8", () => {
    const { networks } = readConfig({ DISCOVERY_NETWORKS: "10.0.0.0/8, 192.168.1.4, fd00::/8" }, settings);
    const has = (address: string, family: "ipv4" | "ipv6" = "ipv4") => networks?.check(address, family);
    assert.deepEqual(
      [has("10.1.1.1"), has("192.168.1.4"), has("192.168.1.5"), has("fd12::1", "ipv6")],
      [true, true, false, true],
    );
    assert.equal(readConfig({}, settings).networks, undefined);
  });

  for (const value of ["10.0.0.0/33", "10.0.0/8", "fd00::/129", "example.com", "10.0.0.0/8,x", "10.0.0.0/-1", ","]) {
    it(`is refused at the start: ${value}`, () => {
      const message = `DISCOVERY_NETWORKS: expected networks separated by commas, such as 127.0.0.0/8, 10.0.0.0/8 or fd00::/8, got "${value}"`;
      assert.throws(() => readConfig({ DISCOVERY_NETWORKS: value }, settings), { mistakes: [message] });
    });
  }
});
