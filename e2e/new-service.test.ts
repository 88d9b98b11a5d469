/** `heddle new service`, as a new user would go: from one command to the first REST answer. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newPerson } from "./person.ts";
import type { PlatformProcess } from "./platform.ts";
import { copyProject, type ProjectCopy } from "./project-copy.ts";
import { until } from "./until.ts";

describe("heddle new service price-list", () => {
  let copy: ProjectCopy;
  let startedAt: number;
  before(function () {
    this.timeout(60_000);
    copy = copyProject(["price-list"]);
    startedAt = performance.now();
    copy.heddle("new", "service", "price-list");
  });
  after(function () {
    this.timeout(60_000);
    copy?.remove();
  });

  const run = (program: string, ...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(join(copy.path, "node_modules/.bin", program), words, {
      cwd: copy.path,
      env: { ...copy.env, MOCHA_COLORS: "0" },
      encoding: "utf8",
    });
    return { status, output: `${stdout}${stderr}` };
  };
  const ownTest = () => run("mocha", "services/price-list/price-list.test.ts");

  it("answers over REST within 60 s of the command", async () => {
    copy.heddle("up", "--detach", "price-list", "auth", "gateway");
    const { processes } = JSON.parse(copy.heddle("status", "--json")) as { processes: readonly PlatformProcess[] };
    const gateway = `http://127.0.0.1:${processes.find(({ service }) => service === "gateway")?.port}`;
    await until("the gateway to find it", async () => (await fetch(`${gateway}/api/v1/price-lists`)).status === 401);
    const ada = await newPerson(gateway, "ada");
    const made = await ada.post("/api/v1/price-lists", { title: "Spring" });
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    assert.deepEqual(await ada.get("/api/v1/price-lists"), { priceLists: [made] });
    console.log(`      first REST answer after ${seconds} s`);
    assert.ok(seconds < 60);
    copy.heddle("down");
  }).timeout(120_000);

  it("passes lint, types, heddle verify and its own test", () => {
    assert.deepEqual(run("biome", "check", "--vcs-enabled=false", "services/price-list").status, 0);
    assert.deepEqual(run("tsc", "--noEmit"), { status: 0, output: "" });
    assert.match(copy.heddle("verify"), /: nothing to correct\n$/);
    const { status, output } = ownTest();
    assert.equal(status, 0, output);
    assert.match(output, /4 passing/);
  }).timeout(120_000);

  it("has a test that fails when its handler is broken", () => {
    const file = join(copy.path, "services/price-list/handlers.ts");
    const handlers = readFileSync(file, "utf8");
    const broken = handlers.replace("getPriceList(db, callingUser(), priceListId)", 'getPriceList(db, "", priceListId)');
    assert.notEqual(broken, handlers);
    writeFileSync(file, broken);
    try {
      assert.match(ownTest().output, /[1-4] failing/);
    } finally {
      writeFileSync(file, handlers);
    }
  }).timeout(60_000);

  it("refuses a name that is taken or cannot be one, and writes nothing", () => {
    for (const [name, message] of [
      ["auth", "heddle: auth exists: proto/auth has it\n"],
      ["Price", "heddle: Price: expected one word in the singular, in lower case, such as recipe or price-list\n"],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, ["cli/heddle.mjs", "new", "service", name], {
        cwd: copy.path,
        env: copy.env,
        encoding: "utf8",
      });
      assert.deepEqual([status, stderr], [2, message]);
    }
  });
});
