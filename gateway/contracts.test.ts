import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import { ContractError, loadContracts } from "./contracts.ts";
import { buildEchoImage } from "./fixtures/build.ts";
import { compileRouter } from "./router.ts";
import { routesOf } from "./routes.ts";

describe("gateway/contracts", () => {
  it("reads rules and access from gen/contracts.binpb, all of whose routes compile", () => {
    const contracts = loadContracts(readFileSync(new URL("../gen/contracts.binpb", import.meta.url)));
    const login = contracts.methods.find(({ desc }) => desc.parent.typeName === "auth.v1.AuthService" && desc.name === "Login");
    assert.equal(login?.http?.pattern.value, "/api/v1/auth/login");
    assert.equal(login?.access?.level, AccessLevel.PUBLIC);
    const router = compileRouter(routesOf(contracts));
    assert.equal(router.match("POST", "/auth.v1.AuthService/ExchangeApiKey").kind, "not-found");
    const found = router.match("GET", "/api/v1/users/7/notifications:watch");
    assert.equal(found.kind === "found" && found.entry.target.method.name, "WatchNotifications");
  });

  for (const image of [Buffer.from("nope"), Buffer.from([0x0a, 0xff])]) {
    it(`refuses the image ${image.toString("hex")}`, () => {
      assert.throws(() => loadContracts(image), ContractError);
    });
  }

  it("says which import is missing", () => {
    // A FileDescriptorSet of one file, `a.proto`, that imports `b.proto`.
    const image = Buffer.from([0x0a, 0x12, 0x0a, 0x07, ...Buffer.from("a.proto"), 0x1a, 0x07, ...Buffer.from("b.proto")]);
    assert.throws(() => loadContracts(image), /b\.proto/);
  });

  it("fixtures/echo.binpb is what fixtures/echo.proto makes", () => {
    const folder = mkdtempSync(join(tmpdir(), "heddle-echo-"));
    try {
      buildEchoImage(join(folder, "echo.binpb"));
      assert.deepEqual(readFileSync(join(folder, "echo.binpb")), readFileSync(join(import.meta.dirname, "fixtures/echo.binpb")));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
