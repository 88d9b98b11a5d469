/** The embedded PostgreSQL as a process of the platform. Its address, with the password, goes to a file that only its owner reads. */
import { createServer } from "node:http";
import { join } from "node:path";
import { integer, oneOf, readConfig, text } from "#mesh/config.ts";
import { startEmbeddedPostgres } from "#mesh/storage/embedded.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { dataFolder, writePrivately } from "./data-folder.ts";
import { runGuarded } from "./guarded.ts";

const config = readConfig(process.env, {
  host: text("HEDDLE_HOST", "127.0.0.1"),
  port: integer("HEDDLE_PORT", 1, 65535),
  adminPort: integer("HEDDLE_ADMIN_PORT", 1, 65535),
  data: text("HEDDLE_DATA"),
  logLevel: oneOf("HEDDLE_LOG_LEVEL", ["trace", "debug", "info", "warn", "error", "fatal", "silent"], "info"),
});

await runGuarded(async () => {
  const folder = dataFolder(config.data, config.data);
  const log = createLogger({ service: "postgres", instance: "postgres", level: config.logLevel });
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder.path, "postgres"), port: config.port, log });
  writePrivately(folder.postgresUrl, `${postgres.url}\n`);
  const admin = createServer((_request, response) => response.writeHead(runs(postgres.pid) ? 200 : 503).end());
  await new Promise<void>((resolve, reject) => admin.once("error", reject).listen(config.adminPort, config.host, resolve));
  return {
    async close() {
      admin.close();
      await postgres.close();
    },
  };
});

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as the user that it was given.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
