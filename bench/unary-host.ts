/** The process under test of `npm run bench unary`: a host as a service has it, with a contract of one method that gives back what it got. */
import v8 from "node:v8";
import { startEcho } from "../mesh/server/server.fixture.ts";
import { createLogger } from "../mesh/telemetry/log.ts";

const log = createLogger({ service: "echo", instance: "echo-1", level: "silent" });
const { server } = await startEcho({ unary: ({ text }) => ({ text }) }, { log });

process.on("message", () => {
  const heap = v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space");
  process.send?.(heap?.space_used_size ?? Number.NaN);
});
process.send?.(server.port);
