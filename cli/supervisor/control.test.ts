import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { control, platformStatus } from "./control-client.ts";
import { type PlatformStatus, startControl } from "./control-server.ts";
import { type DataFolder, dataFolder } from "./data-folder.ts";

describe("control socket", () => {
  let path = "";
  let folder: DataFolder;
  let server: { close(): Promise<void> };
  const status: PlatformStatus = {
    pid: 7,
    phase: "running",
    why: "",
    startedAt: 1,
    data: "/data",
    registry: { address: "http://127.0.0.1:8500", embedded: true },
    postgres: undefined,
    processes: [],
  };

  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), "heddle-control-"));
    folder = dataFolder(path, path);
    // What a supervisor that died leaves behind.
    writeFileSync(folder.controlSocket, "");
    server = await startControl(folder, {
      status: () => status,
      async restart(service, report) {
        report(`${service} is stopped`);
        if (service !== "auth") throw new Failure(`${service} is not among what runs: auth`);
        report(`${service} is ready`);
      },
      scale: async (service, count, report) => report(`${service} ${count}`),
      stop: async (report) => report("all is stopped"),
    });
  });

  afterEach(async () => {
    await server.close();
    rmSync(path, { recursive: true });
  });

  it("gives the status", async () => {
    assert.deepEqual(await platformStatus(folder), JSON.parse(JSON.stringify(status)));
  });

  it("reports the steps of a restart, and settles at its end", async () => {
    const steps: string[] = [];
    await control(folder, { action: "restart", service: "auth" }, (step) => steps.push(step));
    assert.deepEqual(steps, ["auth is stopped", "auth is ready"]);
  });

  it("fails with the supervisor's sentence", async () => {
    const asked = control(folder, { action: "restart", service: "x" }, () => {});
    await assert.rejects(asked, { name: "Failure", message: "x is not among what runs: auth" });
  });

  it("hands on the number of a scale", async () => {
    const steps: string[] = [];
    await control(folder, { action: "scale", service: "auth", count: 3 }, (step) => steps.push(step));
    assert.deepEqual(steps, ["auth 3"]);
  });

  it("answers a line that is no request, {}, with what it expects", async () => {
    const socket = connect(folder.controlSocket).setEncoding("utf8");
    socket.write("{}\n");
    let text = "";
    for await (const part of socket) text += String(part);
    assert.deepEqual(JSON.parse(text), { error: "expected status, restart, scale or stop, got {}" });
  });

  it("may be opened by its owner alone", () => {
    assert.equal(statSync(folder.controlSocket).mode & 0o777, 0o600);
  });

  it("is no platform when nobody listens", async () => {
    const nobody = dataFolder(path, join(path, "other"));
    assert.equal(await platformStatus(nobody), undefined);
    await assert.rejects(
      control(nobody, { action: "stop" }, () => {}),
      {
        message: "the platform is not running: start it with `heddle up`",
      },
    );
  });
});
