import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { freePorts, inodesListening, isFree, portOwner, takenSentence } from "./ports.ts";

describe("ports", () => {
  let server: Server;
  let port = 0;

  before(async () => {
    [port = 0] = await freePorts("127.0.0.1", 1);
    server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  });

  after(() => server.close());

  it("knows a port that is taken from one that is free", async () => {
    const [other = 0] = await freePorts("127.0.0.1", 1);
    assert.deepEqual([await isFree("127.0.0.1", port), await isFree("127.0.0.1", other)], [false, true]);
  });

  it("gives so many different ports", async () => {
    assert.equal(new Set(await freePorts("127.0.0.1", 10)).size, 10);
  });

  it("finds out who listens", () => {
    assert.equal(portOwner(port)?.pid, process.pid);
  });

  it("reads /proc/net/tcp: 1F90 is port 8080, 0A is LISTEN, and a connection from 8080 is not one", () => {
    const table = [
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41234 1 0000 100 0 0 10 0",
      "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 41235 1 0000 100 0 0 10 0",
      "   2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41236 1 0000 100 0 0 10 0",
      "",
    ].join("\n");
    assert.deepEqual(inodesListening(table, 8080), ["41234"]);
    assert.deepEqual(inodesListening(table, 80), ["41236"]);
    assert.deepEqual(inodesListening(table, 0x1f9), []);
  });

  it("names port, owner and variable in one sentence", () => {
    const sentence =
      "port 8080, which gateway wants, is taken by nginx (pid 7): end that, or choose another port with GATEWAY_PORT";
    assert.equal(takenSentence(8080, "gateway", "GATEWAY_PORT", { name: "nginx", pid: 7 }), sentence);
    assert.match(takenSentence(8080, "gateway", "GATEWAY_PORT", undefined), /is taken by another process: end that/);
  });
});
