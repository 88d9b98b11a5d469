/** Backends in Go and in Python behind `heddle gateway`, which has never heard of them, as the README tells it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GatewayProcess, startGatewayProcess } from "../gateway/fixtures/gateway-process.ts";
import { buildGo, buildImage, buildPython, type RunningBackend, startBackend } from "./backends/build.ts";
import { needTool } from "./tools.ts";

/** With grpcio in it; the system's own need not have that. */
const python = "grpc_tools_python";
const languages: [language: string, build: (test: Mocha.Context, image: string) => Promise<string[]>][] = [
  ["Go", (test, image) => buildGo(needTool(test, "go"), image)],
  ["Python", (test) => buildPython(needTool(test, python))],
];

for (const [language, build] of languages) {
  describe(`heddle gateway in front of a backend in ${language}`, function () {
    this.timeout(300_000);
    let folder: string;
    let backend: RunningBackend;
    const gateways: GatewayProcess[] = [];
    let url: string;
    before(async function () {
      folder = await mkdtemp(join(tmpdir(), "heddle-backends-"));
      const image = await buildImage(folder);
      const command = await build(this, image);
      const startedAt = performance.now();
      backend = await startBackend(command);
      const gateway = await startGatewayProcess(["--contracts", image, "--upstream", `library.v1.Library=${backend.address}`]);
      gateways.push(gateway);
      url = `http://127.0.0.1:${gateway.port}`;
      assert.equal((await fetch(`${url}/v1/shelves/1/books:watch?count=1`)).status, 200);
      console.log(
        `      ${((performance.now() - startedAt) / 1000).toFixed(1)} s from its start and the gateway's to the first answer`,
      );
    });
    after(async () => {
      for (const gateway of gateways) await gateway[Symbol.asyncDispose]();
      await backend?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    const book = { title: "Weaving", pages: "9007199254740993", published: "2026-11-21T10:00:00Z" };

    it("creates with the status that the backend sets, and reads what it created", async () => {
      const created = await post("/v1/shelves/1/books", book);
      assert.deepEqual([created.status, await created.json()], [201, { name: "shelves/1/books/1", ...book }]);
      const read = await fetch(`${url}/v1/shelves/1/books/1`);
      assert.deepEqual([read.status, await read.json()], [200, { name: "shelves/1/books/1", ...book }]);
    });

    it("answers errors with their details", async () => {
      const response = await fetch(`${url}/v1/shelves/1/books/none`);
      const resource = { resourceType: "book", resourceName: "shelves/1/books/none" };
      const details = [{ "@type": "type.googleapis.com/google.rpc.ResourceInfo", ...resource }];
      assert.deepEqual([response.status, await response.json()], [404, { code: 5, message: "no such book", details }]);
    });

    it("names the field of a mistake, and asks the backend nothing", async () => {
      const response = await post("/v1/shelves/1/books", { pages: "many" });
      const { details } = (await response.json()) as { details: { fieldViolations: { field: string }[] }[] };
      assert.deepEqual([response.status, details[0]?.fieldViolations.map(({ field }) => field)], [400, ["book.pages"]]);
    });

    it("streams answers as NDJSON and as events, and shows where a stream broke", async () => {
      const lines = await (await fetch(`${url}/v1/shelves/2/books:watch?count=2`)).text();
      assert.equal(lines, '{"name":"shelves/2/books/1"}\n{"name":"shelves/2/books/2","pages":"1"}\n');
      const broken = await fetch(`${url}/v1/shelves/2/books:watch?count=4`, { headers: { accept: "text/event-stream" } });
      assert.match(
        await broken.text(),
        /^id: 1\n.*id: 4\n.*event: error\ndata: \{"error":\{"code":15,"message":"the shelf broke"\}\}\n\n$/s,
      );
    });

    it("streams requests", async () => {
      const response = await post("/v1/pages:count", [{ pages: 1 }, { pages: "41" }]);
      assert.deepEqual(await response.json(), { pages: "42" });
    });

    it("describes itself", async () => {
      const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object };
      const own = Object.keys(paths).filter((path) => path.startsWith("/v1/"));
      assert.deepEqual(own, [
        "/v1/shelves/{name.1}/books/{name.2}",
        "/v1/shelves/{parent}/books",
        "/v1/shelves/{parent}/books:watch",
        "/v1/pages:count",
      ]);
    });

    it("works by reflection alone, without an image", async () => {
      const gateway = await startGatewayProcess(["--reflect", "--upstream", backend.address]);
      gateways.push(gateway);
      let response = await fetch(`http://127.0.0.1:${gateway.port}/v1/shelves/1/books/1`);
      for (let tries = 0; response.status === 404 && tries < 100; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        response = await fetch(`http://127.0.0.1:${gateway.port}/v1/shelves/1/books/1`);
      }
      assert.deepEqual([response.status, await response.json()], [200, { name: "shelves/1/books/1", ...book }]);
    });

    function post(path: string, body: unknown): Promise<Response> {
      const headers = { "content-type": "application/json" };
      return fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    }
  });
}
