import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { request } from "./http.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { needTool, runTool } from "./tools.ts";
import { until } from "./until.ts";

describe("a service, asked by grpcurl and buf curl", () => {
  let platform: Platform;
  let address: string;
  let token: string;
  const email = "katherine@example.com";
  const password = "trajectories by hand";

  before(async function () {
    this.timeout(90_000);
    platform = await startPlatform();
    address = `127.0.0.1:${7001 + platform.offset}`;
    const api = `${platform.gateway}/api/v1/auth`;
    const registered = await request("POST", `${api}/register`, { body: { email, password, name: "Katherine" } });
    assert.equal(registered.status, 200);
    token = (await request("POST", `${api}/login`, { body: { email, password } })).body.access_token;
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  it("grpcurl list names the contract, health and both versions of reflection", async function () {
    const { stdout } = await runTool(needTool(this, "grpcurl"), "-plaintext", address, "list");
    assert.deepEqual(stdout.trim().split("\n").sort(), [
      "auth.v1.AuthService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]);
  });

  it("grpcurl describe shows a method with its HTTP rule", async function () {
    const { stdout } = await runTool(needTool(this, "grpcurl"), "-plaintext", address, "describe", "auth.v1.AuthService.Logout");
    assert.match(stdout, /rpc Logout \( \.auth\.v1\.LogoutRequest \) returns \( \.auth\.v1\.LogoutResponse \) \{/);
    assert.match(stdout, /post: "\/api\/v1\/auth\/logout"/);
  });

  it("grpcurl calls a method with a token", async function () {
    const args = ["-plaintext", "-H", `authorization: Bearer ${token}`, "-d", "{}", address, "auth.v1.AuthService/GetMe"];
    const { stdout } = await runTool(needTool(this, "grpcurl"), ...args);
    assert.equal(JSON.parse(stdout).user.email, email);
  });

  it("grpcurl without a token is told UNAUTHENTICATED", async function () {
    const args = ["-plaintext", "-d", "{}", address, "auth.v1.AuthService/GetMe"];
    const { code, stderr } = await runTool(needTool(this, "grpcurl"), ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, /Code: Unauthenticated/);
  });

  it("grpcurl with a bad field is told INVALID_ARGUMENT and the field", async function () {
    const args = ["-plaintext", "-d", '{"email": "nobody", "password": "long enough"}', address, "auth.v1.AuthService/Register"];
    const { code, stderr } = await runTool(needTool(this, "grpcurl"), ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, /Code: InvalidArgument/);
    assert.match(stderr, /"field": "email"/);
  });

  for (const protocol of ["grpc", "grpcweb", "connect"]) {
    it(`buf curl --protocol ${protocol} finds the method by reflection and calls it`, async function () {
      const args = [
        "curl",
        "--protocol",
        protocol,
        "--http2-prior-knowledge",
        "-H",
        `authorization: Bearer ${token}`,
        "-d",
        "{}",
      ];
      const { stdout, stderr } = await runTool(needTool(this, "buf"), ...args, `http://${address}/auth.v1.AuthService/GetMe`);
      assert.equal(JSON.parse(stdout).user.email, email, stderr);
    });
  }

  it("a health Watch tells SERVING, and SERVICE_UNKNOWN of a service that is not there", async function () {
    const grpcurl = needTool(this, "grpcurl");
    for (const [service, status] of [
      ["auth.v1.AuthService", "SERVING"],
      ["", "SERVING"],
      ["nobody.v1.Nothing", "SERVICE_UNKNOWN"],
    ]) {
      const args = ["-plaintext", "-d", JSON.stringify({ service }), address, "grpc.health.v1.Health/Watch"];
      const watch = spawn(grpcurl, args, { stdio: ["ignore", "pipe", "ignore"] });
      assert.deepEqual(await firstMessage(watch), { status });
      watch.kill();
    }
  });

  it("a health Check of a service that is not there is NOT_FOUND", async function () {
    const args = ["-plaintext", "-d", '{"service": "nobody.v1.Nothing"}', address, "grpc.health.v1.Health/Check"];
    const { stderr } = await runTool(needTool(this, "grpcurl"), ...args);
    assert.match(stderr, /Code: NotFound/);
  });
});

async function firstMessage(watch: ChildProcess): Promise<unknown> {
  let text = "";
  watch.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await until("the first message of the watch", () => text.includes("}"));
  return JSON.parse(text.slice(0, text.indexOf("}") + 1));
}
