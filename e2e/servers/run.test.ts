import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { findConsul } from "./consul.ts";
import { findKafka } from "./kafka.ts";
import { findRabbit } from "./rabbitmq.ts";
import { needRedis } from "./redis.ts";

const program = join(import.meta.dirname, "run.ts");

describe("node e2e/servers/run.ts", function () {
  this.timeout(90_000);

  it("redis: prints the variable of a server that answers, and ends it at SIGINT", async function () {
    needRedis(this);
    await runs("redis", /^export REDIS_URL=redis:\/\/127\.0\.0\.1:(\d+)\n$/);
  });

  for (const [name, find, line] of [
    ["consul", findConsul, /^export CONSUL_HTTP_ADDR=http:\/\/127\.0\.0\.1:(\d+)\n$/],
    ["kafka", findKafka, /^export KAFKA_BROKERS=127\.0\.0\.1:(\d+)\n$/],
    ["rabbitmq", findRabbit, /^export AMQP_URL=amqp:\/\/guest:guest@127\.0\.0\.1:(\d+)\n$/],
  ] as const) {
    it(`${name}: the same`, async function () {
      if (find() === undefined && !process.env.CI) {
        console.log(`      skipped: no ${name} here`);
        this.skip();
      }
      await runs(name, line);
    });
  }

  it("refuses another name with those that there are", async () => {
    const { code, stderr } = await ended("mysql");
    assert.deepEqual({ code, stderr }, { code: 2, stderr: 'expected one of consul, kafka, rabbitmq, redis, got "mysql"\n' });
  });
});

async function runs(name: string, line: RegExp): Promise<void> {
  const child = spawn(process.execPath, [program, name], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let errors = "";
  child.stderr.on("data", (text) => (errors += text));
  try {
    const [text] = (await Promise.race([once(child.stdout, "data"), exited.then(() => [""])])) as [Buffer | string];
    const port = Number(line.exec(String(text))?.[1]);
    assert.ok(port > 0, `${text}${errors}`);
    assert.equal(await connects(port), true);
    child.kill("SIGINT");
    assert.deepEqual(await exited, [0, null], errors);
    assert.equal(await connects(port), false);
  } finally {
    child.kill("SIGTERM");
    await exited;
  }
}

async function ended(name: string): Promise<{ code: number; stderr: string }> {
  const child = spawn(process.execPath, [program, name], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (text) => (stderr += text));
  const [code] = (await once(child, "close")) as [number];
  return { code, stderr };
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
