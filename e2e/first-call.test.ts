import assert from "node:assert/strict";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { startMesh } from "#mesh/testing.ts";
import { runGateway } from "../gateway/service.ts";
import { auth } from "../services/auth/service.ts";
import { request } from "./http.ts";
import { until } from "./until.ts";

describe("the gateway's first call", () => {
  it("with a deadline of 1 s starts the stream of revocations and does not end it", async () => {
    await using undo = new AsyncDisposableStack();
    const mesh = undo.use(await startMesh([auth]));
    const client = mesh.client(AuthService);
    const password = "a good long passphrase";
    await client.register({ email: "ada@example.com", password });
    const { accessToken: token } = await client.login({ email: "ada@example.com", password });
    const gateway = await runGateway({ ...mesh.env, GATEWAY_PORT: "0" });
    undo.defer(() => gateway.stop());
    const url = `http://127.0.0.1:${gateway.port}/api/v1/auth/me`;
    const begun = performance.now();
    assert.equal((await request("GET", url, { token, headers: { "grpc-timeout": "1S" } })).status, 200);
    await until("the deadline to pass", () => performance.now() > begun + 1200);

    const metrics = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
    const attempts = (name: string) =>
      metrics.match(new RegExp(`^grpc_client_attempt_${name}\\{[^}]*"auth.v1.AuthService/WatchRevocations".* (\\d+)$`, "m"))?.[1];
    assert.deepEqual([attempts("started_total"), attempts("duration_seconds_count")], ["1", undefined]);

    await client.logout({}, { headers: { authorization: `Bearer ${token}` } });
    await until("the logout to be known", async () => (await request("GET", url, { token })).status === 401, 1000);
  });
});
