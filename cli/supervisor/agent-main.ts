/** The embedded registry as a process of the platform. */
import { join } from "node:path";
import { integer, oneOf, readConfig, text } from "#mesh/config.ts";
import { startAgent } from "#mesh/registry/agent.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { runGuarded } from "./guarded.ts";

const config = readConfig(process.env, {
  host: text("HEDDLE_HOST", "127.0.0.1"),
  port: integer("HEDDLE_PORT", 1, 65535),
  data: text("HEDDLE_DATA"),
  datacenter: text("CONSUL_DATACENTER", ""),
  logLevel: oneOf("HEDDLE_LOG_LEVEL", ["trace", "debug", "info", "warn", "error", "fatal", "silent"], "info"),
});

await runGuarded(() => {
  const log = createLogger({ service: "consul", instance: "consul", level: config.logLevel });
  const datacenter = config.datacenter === "" ? {} : { datacenter: config.datacenter };
  return startAgent({ host: config.host, port: config.port, dataDir: join(config.data, "consul"), log, ...datacenter });
});
