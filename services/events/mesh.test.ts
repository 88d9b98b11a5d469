import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { PublishStatus } from "#gen/events/v1/event_pb.ts";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { ConfigError, readConfig } from "#mesh/config.ts";
import { startProcess, stopProcess } from "#mesh/process.fixture.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { auth } from "../auth/service.ts";
import { eventually, refused } from "./events.fixture.ts";
import { startGateway } from "./gateway.fixture.ts";
import { events } from "./service.ts";
import { settings } from "./settings.ts";

describe("events in the mesh", function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  before(async () => {
    mesh = await startMesh([auth, events], { env: { AUTH_DATABASE_URL: await testDatabase() } });
  });
  after(() => mesh[Symbol.asyncDispose]());

  async function signUp(name: string): Promise<string> {
    const credentials = { email: `${name}@example.com`, password: "a good long passphrase" };
    await mesh.client(AuthService).register({ ...credentials, name });
    return (await mesh.client(AuthService).login(credentials)).accessToken;
  }

  it("over REST: both aliases, SENT, NDJSON in, and SSE whose ids are offsets, resumed behind Last-Event-ID", async () => {
    const token = await signUp("ann");
    await using gateway = await startGateway(mesh);
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    for (const [path, offset] of [
      ["/api/v1/events", "1"],
      ["/send-event", "2"],
    ] as const) {
      const body = JSON.stringify({ key: "k", type: "cart.filled", data: { n: 1 } });
      const answer = (await (await fetch(`${gateway.url}${path}`, { method: "POST", headers, body })).json()) as {
        status: string;
        event: Record<string, unknown>;
      };
      assert.deepEqual([answer.status, answer.event.offset, answer.event.topic], ["SENT", offset, "events"]);
    }
    // Another's events stand between: the ids of ann's are offsets all the same.
    await mesh.client(EventService).publishEvent({ key: "x" });
    const lines = [3, 4, 5]
      .map((n) => JSON.stringify({ key: "k", type: n === 4 ? "other" : "cart.filled", data: { n } }))
      .join("\n");
    const many = await fetch(`${gateway.url}/api/v1/events:publish`, {
      ...{ method: "POST", headers: { ...headers, "content-type": "application/x-ndjson" }, body: lines },
    });
    assert.deepEqual(await many.json(), { stored: "3", status: "SENT" });

    const sse = async (query: string, more: Record<string, string>, count: number) => {
      const stop = new AbortController();
      const url = `${gateway.url}/api/v1/events:subscribe?${query}`;
      const answer = await fetch(url, { headers: { ...headers, accept: "text/event-stream", ...more }, signal: stop.signal });
      let text = "";
      for await (const chunk of answer.body ?? assert.fail("no body")) {
        text += Buffer.from(chunk).toString();
        if ((text.match(/^data:/gm) ?? []).length >= count) break;
      }
      stop.abort();
      return [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);
    };
    assert.deepEqual(await sse("fromBeginning=true&types=cart.*", {}, 4), ["1", "2", "4", "6"]);
    assert.deepEqual(await sse("fromBeginning=true&types=cart.*", { "last-event-id": "2" }, 2), ["4", "6"]);
    for (const path of ["/kafka/stats", "/api/v1/events/stats"]) {
      const init = { headers: { ...headers, accept: "application/json;emitDefaults=true" } };
      const stats = (await (await fetch(`${gateway.url}${path}`, init)).json()) as { relay: { configured: boolean } };
      assert.equal(stats.relay.configured, false, path);
    }
    for (const path of ["/kafka/logs?pageSize=1", "/api/v1/events/logs?pageSize=1"]) {
      const logs = (await (await fetch(`${gateway.url}${path}`, { headers })).json()) as { entries: { kind: string }[] };
      assert.equal(logs.entries[0]?.kind, "LOG_KIND_STORED", path);
    }
  });

  it("a stranger's token sees nothing of another's", async () => {
    const [carol, dave] = [await signUp("carol"), await signUp("dave")];
    const client = mesh.client(EventService);
    const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const { event } = await client.publishEvent({ key: "secret" }, as(carol));
    const { events: seen } = await client.listEvents({ topic: "events", pageSize: 1000 }, as(dave));
    assert.deepEqual(
      seen.filter(({ id }) => id === event?.id),
      [],
    );
    await refused(client.createTopic({ topic: { name: "mine" } }, as(dave)), Code.PermissionDenied);
    await refused(client.updateTopic({ topic: { name: "events" } }, as(dave)), Code.PermissionDenied);
    assert.deepEqual((await client.listLogs({}, as(dave))).entries, []);
  });
});

describe("events: kill -9", function () {
  this.timeout(120_000);

  it("loses nothing and stores nothing twice when the process is killed three times while 16 publish; a reader that resumes sees it all", async () => {
    await using mesh = await startMesh([auth], { env: { AUTH_DATABASE_URL: await testDatabase() } });
    const env = { EVENTS_DATABASE_URL: await testDatabase() };
    const client = mesh.client(EventService);
    const module = new URL("./service.ts", import.meta.url);
    const start = () => startProcess({ mesh, module, env, ask: () => client.listTopics({}) });
    let child = await start();
    try {
      let stopped = false;
      const published = new Map<string, bigint>();
      const publish = async (key: number) => {
        for (let n = 0; !stopped; n++) {
          const request = { requestId: uuidv7(), topic: "killed", key: String(key), data: { n } };
          // As an outbox does: the same request until there is an answer.
          for (;;) {
            try {
              const { event, status } = await client.publishEvent(request);
              assert.equal(status, PublishStatus.SENT);
              published.set(`${key}/${n}`, event?.offset ?? 0n);
              break;
            } catch {
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          }
        }
      };
      const publishing = Array.from({ length: 16 }, (_, key) => publish(key));
      const read: { offset: bigint; key: string; n: number }[] = [];
      const leave = new AbortController();
      const reading = (async () => {
        while (!leave.signal.aborted) {
          const fromOffset = (read.at(-1)?.offset ?? 0n) + 1n;
          try {
            for await (const { item } of client.subscribe({ topic: "killed", fromOffset }, { signal: leave.signal })) {
              if (item.case === "event")
                read.push({ offset: item.value.offset, key: item.value.key, n: Number(item.value.data?.n) });
            }
          } catch {
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }
      })();
      for (let kill = 0; kill < 3; kill++) {
        const before = published.size;
        await eventually("300 more events", () => published.size > before + 300);
        await stopProcess(child, "SIGKILL");
        child = await start();
      }
      const before = published.size;
      await eventually("100 more events", () => published.size > before + 100);
      stopped = true;
      await Promise.all(publishing);
      await eventually("the reader", () => read.length >= published.size);
      leave.abort();
      await reading;
      assert.deepEqual(
        read.map(({ offset }) => offset),
        Array.from({ length: published.size }, (_, n) => BigInt(n + 1)),
      );
      for (const { key, n, offset } of read) assert.equal(published.get(`${key}/${n}`), offset);
      console.log(`      ${published.size} events`);
    } finally {
      await stopProcess(child);
    }
  });
});

describe("events settings", () => {
  it("are complete without any environment", () => {
    const { kafkaBrokers, relayWaitMs, partitions, retentionMs } = readConfig({}, settings);
    assert.deepEqual([kafkaBrokers, relayWaitMs, partitions, retentionMs], [[], 250, 4, 2_592_000_000]);
  });

  it("take several brokers", () => {
    const { kafkaBrokers } = readConfig({ KAFKA_BROKERS: "a:9092, [::1]:9093" }, settings);
    assert.deepEqual(kafkaBrokers, ["a:9092", "[::1]:9093"]);
  });

  for (const [variable, value] of [
    ["KAFKA_BROKERS", "kafka"],
    ["KAFKA_BROKERS", "a:9092,b"],
    ["KAFKA_TLS", "yes"],
    ["KAFKA_SASL_MECHANISM", "MD5"],
    ["EVENTS_PARTITIONS", "0"],
    ["EVENTS_RETENTION", "1"],
    ["EVENTS_SEGMENT", "1"],
  ] as const) {
    it(`refuse ${variable}=${JSON.stringify(value)}`, () => {
      assert.throws(
        () => readConfig({ [variable]: value }, settings),
        (error) =>
          error instanceof ConfigError && error.mistakes.length === 1 && error.mistakes[0]?.startsWith(variable) === true,
      );
    });
  }
});
