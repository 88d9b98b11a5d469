/**
 * Contracts that change while the gateway works: a swap each second under 1,000 requests a second, none of which fails.
 * 3 s here; with HEDDLE_SOAK=1 the whole minute. The gateway is a process of its own, and follows a file.
 */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startLoad } from "../e2e/load.ts";
import { type GatewayProcess, startGatewayProcess } from "./fixtures/gateway-process.ts";
import { type MadeService, madeImage, type ReflectingServer, startReflecting } from "./fixtures/made-contract.ts";

const seconds = process.env.HEDDLE_SOAK === "1" ? 60 : 3;
const perSecond = 1000;

const get = (path: string) => ({ pattern: { case: "get" as const, value: path } });
const stays = { Get: get("/v1/things/{name}") };
/** The two contracts that take turns: routes come and go, the type of a field changes; one route stays. */
const images = [
  madeImage({ name: "shop.v1.Things", methods: stays }),
  madeImage(
    { name: "shop.v1.Things", methods: { ...stays, List: get("/v1/things"), Plain: undefined } },
    ...Array.from(
      { length: 20 },
      (_, n): MadeService => ({ name: `more${n}.v1.More`, methods: { Get: get(`/v1/more${n}/{name}`) } }),
    ),
  ),
] as const;

describe(`gateway: ${perSecond} requests a second for ${seconds} s, with new contracts each second`, function () {
  this.timeout(seconds * 1000 + 60_000);
  const folder = mkdtempSync(join(tmpdir(), "heddle-hot-swap-"));
  const file = join(folder, "contracts.binpb");
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  /** Its requests do not wait behind the load's. */
  const probe = new Agent({ keepAlive: true });
  let server: ReflectingServer;
  let gateway: GatewayProcess;
  before(async () => {
    write(images[0]);
    server = await startReflecting(images[1]);
    const upstream = `shop.v1.Things=127.0.0.1:${server.port}`;
    gateway = await startGatewayProcess(["--contracts", file, "--upstream", upstream], { GATEWAY_RATE_LIMIT: "0" });
  });
  after(async () => {
    agent.destroy();
    probe.destroy();
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it("fails none of them, and takes every contract in", async () => {
    let number = 0;
    const load = startLoad(perSecond, async () => {
      const name = `thing-${number++}`;
      const { status, text } = await ask(`/v1/things/${name}`, agent);
      return status === 200 && text === `{"name":"${name}"}` ? undefined : `${status} ${text}`;
    });
    let swaps = 0;
    for (let second = 1; second <= seconds; second++) {
      const next = second % 2;
      write(images[next === 0 ? 0 : 1]);
      const until = performance.now() + 1000;
      // A route that only one of the two contracts has tells which one holds.
      const expected = next === 0 ? 404 : 200;
      let status = 0;
      while (performance.now() < until && status !== expected) {
        status = (await ask("/v1/things", probe)).status;
        await sleep(20);
      }
      if (status === expected) swaps++;
      await sleep(Math.max(0, until - performance.now()));
    }
    const { sent, failures, slowestMs } = await load.stop();
    console.log(`      ${failures.length} of ${sent} failed, ${swaps} swaps, the slowest took ${slowestMs} ms`);
    assert.deepEqual(failures.slice(0, 5), []);
    assert.equal(swaps, seconds);
    assert.ok(sent >= perSecond * seconds * 0.95, `${sent} were sent`);
  });

  /** As builds do: whole, by a rename. */
  function write(image: Uint8Array): void {
    writeFileSync(`${file}.next`, image);
    renameSync(`${file}.next`, file);
  }

  function ask(path: string, agent: Agent): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host: "127.0.0.1", port: gateway.port, path, agent }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.setTimeout(15_000, () => request.destroy(new Error("no answer within 15 s")));
      request.on("error", reject);
      request.end();
    });
  }
});
