/**
 * `node e2e/servers/run.ts kafka`: a real server to try the platform on, or consul, rabbitmq, redis. On free ports, with a folder of its own;
 * prints the variable that leads the platform there, and ends with all that it kept at Ctrl-C.
 */
import { findTool } from "../tools.ts";
import { findConsul, startConsul } from "./consul.ts";
import { findKafka, startKafka } from "./kafka.ts";
import { findRabbit, startRabbit } from "./rabbitmq.ts";
import { startRedis } from "./redis.ts";

/** One kind of server. */
interface Kind {
  /** The script that gets it, or the Debian package. */
  readonly from: string;
  find(): string | undefined;
  /** Starts it; answers with the variable that names it to the platform, and its value. */
  start(found: string, undo: AsyncDisposableStack): Promise<string>;
}

const kinds: Readonly<Record<string, Kind>> = {
  consul: {
    from: "sh e2e/servers/install-consul.sh",
    find: findConsul,
    start: async (found, undo) => `CONSUL_HTTP_ADDR=${undo.use(await startConsul(found)).address}`,
  },
  kafka: {
    from: "sh e2e/servers/install-kafka.sh",
    find: findKafka,
    start: async (found, undo) => `KAFKA_BROKERS=${undo.use(await startKafka(found)).broker}`,
  },
  rabbitmq: {
    from: "sh e2e/servers/install-rabbitmq.sh",
    find: findRabbit,
    start: async (found, undo) => `AMQP_URL=${undo.use(await startRabbit(found)).url}`,
  },
  redis: {
    from: "Debian's redis-server",
    find: () => findTool("redis-server"),
    start: async (found, undo) => `REDIS_URL=${undo.use(await startRedis(found)).url}`,
  },
};

const name = process.argv[2] ?? "";
const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
if (kind === undefined) fail(`expected one of ${Object.keys(kinds).join(", ")}, got ${JSON.stringify(name)}`);
const found = kind.find();
if (found === undefined) fail(`${name} is not here: get it by ${kind.from}`);

const stop = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.resolve());
await using undo = new AsyncDisposableStack();
process.stdout.write(`export ${await kind.start(found, undo)}\n`);
process.stderr.write(`${name} runs until Ctrl-C\n`);
// A promise alone does not keep a process.
const alive = setInterval(() => undefined, 2 ** 30);
await stop.promise;
clearInterval(alive);

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
