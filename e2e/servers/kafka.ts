/** A real Kafka for tests: one broker that is its own controller (KRaft), on free ports, its log in a folder of its own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { findTool } from "../tools.ts";
import { until } from "../until.ts";

/** A Kafka that runs. Disposing ends it and removes its log. */
export interface KafkaServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly broker: string;
  /** Ends the process at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again at the same port, with all that it had. Settles when it serves. */
  restart(): Promise<void>;
}

/** The folder of the jars that install-kafka.sh fetched; undefined when there is none, or no java. */
export function findKafka(): string | undefined {
  const tools = process.env.HEDDLE_TOOLS ?? resolve(import.meta.dirname, "../../.heddle/tools");
  if (findTool("java") === undefined || !existsSync(tools)) return undefined;
  const folder = readdirSync(tools).find((name) => /^kafka-\d/.test(name) && !name.includes("install"));
  return folder === undefined ? undefined : join(tools, folder);
}

/**
 * The jars, or a skipped test that says so.
 *
 * @throws Error in CI, where nothing is skipped.
 */
export function needKafka(context: Mocha.Context): string {
  const jars = findKafka();
  if (jars !== undefined) return jars;
  const message = "no real Kafka here: `sh e2e/servers/install-kafka.sh` gets one";
  if (process.env.CI) throw new Error(message);
  console.log(`      skipped: ${message}`);
  return context.skip();
}

/** Starts Kafka; settles when it serves. */
export async function startKafka(jars: string): Promise<KafkaServer> {
  const java = findTool("java") ?? "java";
  const folder = await mkdtemp(join(tmpdir(), "heddle-kafka-"));
  const [port, controller] = [await freePort(), await freePort()];
  const broker = `127.0.0.1:${port}`;
  const file = join(folder, "server.properties");
  await writeFile(file, properties(folder, port, controller));
  const classPath = ["-cp", `${jars}/*`];
  let child: ChildProcess | undefined;
  let output = "";

  async function start(): Promise<void> {
    const small = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dkafka.logs.dir=/dev/null"];
    const started = spawn(java, [...small, ...classPath, "kafka.Kafka", file], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: folder,
    });
    child = started;
    for (const stream of [started.stdout, started.stderr]) stream.on("data", (text) => (output = (output + text).slice(-4000)));
    await until(
      "Kafka to serve",
      async () => {
        if (started.exitCode !== null) throw new Error(`Kafka ended with ${started.exitCode}:\n${output}`);
        return serves(broker);
      },
      60_000,
    );
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
  }

  const close = async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const format = [
      "kafka.tools.StorageTool",
      "format",
      "--standalone",
      "--cluster-id",
      "4L6g3nShT-eMCtK--X86sw",
      "--config",
      file,
    ];
    await promisify(execFile)(java, ["-XX:TieredStopAtLevel=1", ...classPath, ...format], { cwd: folder });
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return { broker, kill, restart: start, [Symbol.asyncDispose]: close };
}

/** The short session lets a broker that was killed come back at once, and not after the 9 s in which it counts as alive. */
function properties(folder: string, port: number, controller: number): string {
  return `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:${controller}
log.dirs=${join(folder, "log")}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=1
num.io.threads=2
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
log.cleaner.enable=false
`;
}

/** A broker that takes connections may still be loading, so its metadata is asked for. */
async function serves(broker: string): Promise<boolean> {
  const { Admin } = await import("@platformatic/kafka");
  const admin = new Admin({ clientId: "test", bootstrapBrokers: [broker], retries: 0, connectTimeout: 500, timeout: 1000 });
  try {
    return (await admin.metadata({ topics: [] })).brokers.size === 1;
  } catch {
    return false;
  } finally {
    await admin.close().catch(() => undefined);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
