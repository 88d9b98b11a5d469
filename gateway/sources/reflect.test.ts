import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { getExtension } from "@bufbuild/protobuf";
import { http } from "#gen/google/api/annotations_pb.ts";
import { startEcho } from "#mesh/server/server.fixture.ts";
import { contractsOf, loadContracts } from "../contracts.ts";
import { madeImage, startReflecting } from "../fixtures/made-contract.ts";
import { reflect } from "./reflect.ts";
import { unionOf } from "./union.ts";

const image = madeImage({ name: "demo.v1.Demo", methods: { Get: { pattern: { case: "get", value: "/v1/demo" } } } });
const signal = () => AbortSignal.timeout(5000);
const methodsOf = (told: Awaited<ReturnType<typeof reflect>>) =>
  contractsOf(unionOf([{ ...told, origin: "demo", services: new Set(told.services) }], "reflection")).methods;

describe("gateway/sources/reflect", () => {
  it("reads a service by v1, from grpc-js", async () => {
    await using server = await startReflecting(image);
    const told = await reflect(`127.0.0.1:${server.port}`, ["demo.v1.Demo"], signal());
    assert.deepEqual(
      methodsOf(told).map(({ desc }) => `${desc.parent.typeName}/${desc.name}`),
      ["demo.v1.Demo/Get"],
    );
    assert.deepEqual([...new Set(server.asked)], ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]);
  });

  it("falls back to v1alpha where v1 is UNIMPLEMENTED", async () => {
    await using server = await startReflecting(image, { versions: ["v1alpha"] });
    const told = await reflect(`127.0.0.1:${server.port}`, undefined, signal());
    assert.deepEqual(told.services, ["demo.v1.Demo"]);
    assert.equal(methodsOf(told).length, 1);
    assert.deepEqual([...new Set(server.asked)], ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]);
  });

  it("reads a service of the mesh with its options", async () => {
    await using echo = await startEcho({});
    const told = await reflect(`127.0.0.1:${echo.server.port}`, undefined, signal());
    assert.deepEqual(told.services, ["test.v1.EchoService"]);
    assert.ok(methodsOf(told).length > 0);
    assert.ok(
      methodsOf(told).every(({ http: rule, desc }) => rule === undefined || getExtension(desc.proto.options ?? fail(), http)),
    );
  });

  const failures: [title: string, versions: readonly "v1"[], service: string, message: RegExp][] = [
    ["a server without reflection", [], "demo.v1.Demo", /unimplemented/i],
    ["a service that the server does not know", ["v1"], "demo.v1.Nope", /not found|not_found/i],
  ];
  for (const [title, versions, service, message] of failures) {
    it(`says what is wrong with ${title}`, async () => {
      await using server = await startReflecting(image, { versions });
      await assert.rejects(reflect(`127.0.0.1:${server.port}`, [service], signal()), message);
    });
  }

  it("completes the files of @grpc/reflection, which name no imports and write names relative to their scope", async () => {
    const platform = readFileSync(new URL("../../gen/contracts.binpb", import.meta.url));
    await using server = await startReflecting(platform);
    const told = await reflect(`127.0.0.1:${server.port}`, undefined, signal());
    const expected = loadContracts(platform).methods.map(({ desc }) => [desc.toString(), desc.input.toString()]);
    const got = methodsOf(told).map(({ desc }) => [desc.toString(), desc.input.toString()]);
    assert.deepEqual(got.sort(), expected.sort());
  });

  it("gives up when the signal aborts", async () => {
    await using server = await startReflecting(image);
    await assert.rejects(reflect(`127.0.0.1:${server.port}`, undefined, AbortSignal.abort()), /in time/);
  });
});

function fail(): never {
  throw new Error("the method has no options");
}
