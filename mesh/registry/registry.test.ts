import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { startAgent } from "./agent.ts";
import { registryContract } from "./registry.contract.ts";

registryContract("the embedded agent", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-agent-"));
  const options = { host: "127.0.0.1", dataDir, log: pino({ level: "silent" }) };
  let agent = await startAgent({ ...options, port: 0 });
  const { address, port } = agent;
  return {
    address,
    kill: () => agent.close(),
    async restart() {
      await rm(dataDir, { recursive: true, force: true });
      agent = await startAgent({ ...options, port });
    },
    async [Symbol.asyncDispose]() {
      await agent.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
});
