import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, createFileRegistry, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorProtoSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  DiscoveryService,
  Protocol,
  type RegisterServiceRequestSchema,
  UrlSource,
  type WatchServicesResponse,
} from "#gen/discovery/v1/discovery_pb.ts";
import { InstanceStatus, ServiceStatus } from "#gen/discovery/v1/service_pb.ts";
import { reasonOf } from "#mesh/errors.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { startProgram, until } from "./discovery.fixture.ts";
import { discovery } from "./service.ts";

describe("discovery service", () => {
  let mesh: TestMesh;
  let cleanup: AsyncDisposableStack;
  const client = () => mesh.client(DiscoveryService);
  before(async () => {
    const env = { LEGACY_SERVICE_URL: "https://legacy.example:8443", TARIFF_SERVICE_URL: "http://tariff.example" };
    mesh = await startMesh([discovery], { env });
  });
  after(() => mesh?.[Symbol.asyncDispose]());
  beforeEach(() => {
    cleanup = new AsyncDisposableStack();
  });
  afterEach(() => cleanup.disposeAsync());

  /** Registers a program that ends with the test, and answers with its id. */
  async function registered(port: number, more: MessageInitShape<typeof RegisterServiceRequestSchema> = {}) {
    const defaults = { service: "tariff", address: "127.0.0.1", port, check: { interval: { seconds: 1n } } };
    const { instance } = await client().registerService({ ...defaults, ...more } as typeof more);
    const [service, instanceId] = [instance?.service ?? "", instance?.id ?? ""];
    cleanup.defer(async () => {
      await client()
        .deregisterService({ service, instanceId })
        .catch(() => undefined);
    });
    return instanceId;
  }
  const statusOf = async (service: string) =>
    (await client().getService({ service })).service?.instances.map(({ status }) => status);
  const refused = async (work: Promise<unknown>) => {
    const error = await work.then(() => undefined, ConnectError.from);
    return [error && Code[error.code], error && (reasonOf(error) ?? error.rawMessage)];
  };

  it("lists itself, whole, as the registry has it", async () => {
    const { services, registryConnected, nextPageToken, age } = await client().listServices({});
    const running = mesh.services.get("discovery");
    const [service] = services;
    assert.deepEqual([services.length, registryConnected, nextPageToken, age !== undefined], [1, true, "", true]);
    const contracts = ["discovery.v1.DiscoveryService"];
    const [instance] = service?.instances ?? [];
    assert.deepEqual(
      [service?.name, service?.status, service?.contracts, service?.tags],
      ["discovery", ServiceStatus.UP, contracts, [...contracts, "grpc"]],
    );
    assert.deepEqual(
      { ...instance, $typeName: undefined },
      {
        $typeName: undefined,
        id: running?.instance,
        service: "discovery",
        address: "127.0.0.1",
        port: running?.port,
        url: `http://127.0.0.1:${running?.port}`,
        status: InstanceStatus.PASSING,
        version: "0.1.0",
        contracts,
        tags: ["grpc", ...contracts],
        meta: { version: "0.1.0", contracts: contracts.join(), admin: String(running?.adminPort), protocol: "h2c" },
        weight: 1,
        outside: false,
      },
    );
  });

  it("registers an HTTP program, follows its health, and lets it go", async () => {
    const program = cleanup.use(await startProgram());
    const check = { probe: { case: "http", value: { path: "/healthz?deep=1" } }, interval: { seconds: 1n } } as const;
    const about = { version: "2.4", tags: ["blue"], meta: { owner: "billing" }, adminPort: 9100 };
    const id = await registered(program.port, { ...about, check });
    assert.equal(id, `outside-tariff-127.0.0.1-${program.port}`);
    await until(async () => (await statusOf("tariff"))?.[0] === InstanceStatus.PASSING);
    assert.deepEqual([...new Set(program.paths)], ["/healthz?deep=1"]);
    const { service } = await client().getService({ service: "tariff" });
    const [instance] = service?.instances ?? [];
    assert.deepEqual(
      [service?.status, instance?.outside, instance?.version, instance?.tags],
      [ServiceStatus.UP, true, "2.4", ["blue"]],
    );
    assert.deepEqual(instance?.meta, { owner: "billing", version: "2.4", admin: "9100", protocol: "http", outside: "true" });
    program.status = 500;
    await until(async () => (await statusOf("tariff"))?.[0] === InstanceStatus.CRITICAL);
    assert.equal((await client().getService({ service: "tariff" })).service?.status, ServiceStatus.DOWN);
    await client().deregisterService({ service: "tariff", instanceId: id });
    await until(async () => (await refused(client().getService({ service: "tariff" })))[0] === "NotFound");
    assert.deepEqual(await refused(client().deregisterService({ service: "tariff", instanceId: id })), [
      "NotFound",
      `registration ${JSON.stringify(id)} does not exist`,
    ]);
  });

  it("registers a gRPC program for its contracts, and the mesh then calls it by contract", async () => {
    const health = cleanup.use(await startProgram());
    const { server, port, called } = await startTariffs();
    cleanup.defer(() => server.close());
    const check = { probe: { case: "http", value: { path: "/", port: health.port } }, interval: { seconds: 1n } } as const;
    await registered(port, { contracts: ["tariff.v1.TariffService"], check });
    await until(async () => (await statusOf("tariff"))?.[0] === InstanceStatus.PASSING);
    const { services } = await client().listServices({ contract: "tariff.v1.TariffService" });
    assert.deepEqual(
      services.map(({ name, tags, instances }) => [name, tags, instances[0]?.meta.protocol]),
      [["tariff", ["grpc", "tariff.v1.TariffService"], "h2c"]],
    );
    const tariffs = mesh.client(tariffService) as unknown as { quote(request: object): Promise<object> };
    assert.deepEqual(await tariffs.quote({}), create(EmptySchema));
    assert.equal(called(), 1);
  });

  it("gives the URL of an instance that passes, in turn; else what the environment says; else NOT_FOUND", async () => {
    const programs = [cleanup.use(await startProgram()), cleanup.use(await startProgram())];
    const urlOf = (service: string) => client().getServiceUrl({ service });
    assert.equal((await urlOf("tariff")).url, "http://tariff.example");
    for (const { port } of programs) await registered(port, { protocol: Protocol.HTTP });
    await until(async () => (await urlOf("tariff")).urls.length === 2);
    await until(async () => (await urlOf("tariff")).source === UrlSource.REGISTRY);
    const expected = programs.map(({ port }) => `http://127.0.0.1:${port}`).sort();
    const answers = [await urlOf("tariff"), await urlOf("tariff")];
    assert.deepEqual(answers.map(({ url }) => url).sort(), expected);
    assert.deepEqual(
      answers.map(({ urls }) => urls),
      [expected, expected],
    );
    const legacy = await urlOf("legacy");
    assert.deepEqual(
      [legacy.url, legacy.source, legacy.urls],
      ["https://legacy.example:8443", UrlSource.ENVIRONMENT, [legacy.url]],
    );
    assert.deepEqual(await refused(urlOf("price-list")), [
      "NotFound",
      'a healthy instance, or PRICE_LIST_SERVICE_URL, of service "price-list" does not exist',
    ]);
  });

  it("keeps its hands off what is the mesh's own", async () => {
    const one = { address: "127.0.0.1", port: 4000 };
    for (const service of ["auth", "discovery", "gateway", "consul"]) {
      assert.deepEqual(await refused(client().registerService({ ...one, service })), ["FailedPrecondition", "RESERVED"]);
    }
    for (const contract of ["auth.v1.AuthService", "heddle.v1.X", "grpc.health.v1.Health"]) {
      const request = { ...one, service: "mine", contracts: [contract] };
      assert.deepEqual(await refused(client().registerService(request)), ["FailedPrecondition", "RESERVED"]);
    }
    const instanceId = mesh.services.get("discovery")?.instance ?? "";
    assert.deepEqual(await refused(client().deregisterService({ service: "discovery", instanceId })), [
      "FailedPrecondition",
      "NOT_OUTSIDE",
    ]);
  });

  for (const [what, request, field] of [
    ["an address of cloud metadata", { address: "169.254.169.254" }, "address"],
    ["port 0", { port: 0 }, "port"],
    ["a path with a space", { check: { probe: { case: "http", value: { path: "/a b" } } } }, "check.http.path"],
    ["a path with a line break", { check: { probe: { case: "http", value: { path: "/a\r\nX: y" } } } }, "check.http.path"],
    ["a URL as path", { check: { probe: { case: "http", value: { path: "http://elsewhere/" } } } }, "check.http.path"],
    ["an interval of 0.5 s", { check: { interval: { nanos: 5e8 } } }, "check.interval"],
    ["a timeout of 2 min", { check: { timeout: { seconds: 120n } } }, "check.timeout"],
    ["a name in upper case", { service: "Tariff" }, "service"],
    ["meta of the registry's own", { meta: { outside: "no" } }, "meta"],
    ["contracts of an HTTP program", { protocol: Protocol.HTTP, contracts: ["a.v1.A"] }, "contracts"],
    ["contracts of more than 500 characters", { contracts: [1, 2, 3].map((n) => `a${n}.v1.A${"a".repeat(180)}`) }, "contracts"],
    ["a tag with a comma", { tags: ["a,b"] }, "tags[0]"],
  ] as const) {
    it(`refuses ${what}, naming ${field}`, async () => {
      const good = { service: "tariff", address: "127.0.0.1", port: 4000 };
      const [code, message] = await refused(client().registerService({ ...good, ...structuredClone(request) } as typeof good));
      assert.equal(code, "InvalidArgument");
      assert.ok(String(message).startsWith(`${field}: `), String(message));
    });
  }

  it("pages through the services by name", async () => {
    for (const service of ["tariff-a", "tariff-b"]) await registered(1, { service });
    await until(async () => (await client().listServices({})).services.length === 3);
    const first = await client().listServices({ pageSize: 2 });
    const second = await client().listServices({ pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      [first, second].map(({ services, nextPageToken }) => [services.map(({ name }) => name), nextPageToken === ""]),
      [
        [["discovery", "tariff-a"], false],
        [["tariff-b"], true],
      ],
    );
    assert.equal((await refused(client().listServices({ pageToken: "x" })))[0], "InvalidArgument");
  });

  it("streams all services, then each change", async () => {
    const end = new AbortController();
    const seen: WatchServicesResponse[] = [];
    const watching = (async () => {
      for await (const message of client().watchServices({}, { signal: end.signal })) seen.push(message);
    })().catch((error) => ConnectError.from(error).code);
    await until(() => seen.length === 1);
    assert.deepEqual([seen[0]?.complete, seen[0]?.services.map(({ name }) => name), seen[0]?.removed], [true, ["discovery"], []]);
    const instanceId = await registered(1);
    await until(() => seen.length > 1);
    const change = seen[1];
    assert.deepEqual([change?.complete, change?.services.map(({ name }) => name), change?.removed], [false, ["tariff"], []]);
    assert.deepEqual(
      change?.services[0]?.instances.map(({ id }) => id),
      [instanceId],
    );
    await client().deregisterService({ service: "tariff", instanceId });
    await until(() => seen.at(-1)?.removed.join() === "tariff");
    end.abort();
    assert.equal(await watching, Code.Canceled);
  });
});

/** tariff.v1.TariffService with one method, Quote, as another team's contract would come. */
const tariffService = (() => {
  const empty = ".google.protobuf.Empty";
  const file = create(FileDescriptorProtoSchema, {
    name: "tariff/v1/tariff.proto",
    package: "tariff.v1",
    syntax: "proto3",
    dependency: ["google/protobuf/empty.proto"],
    service: [{ name: "TariffService", method: [{ name: "Quote", inputType: empty, outputType: empty }] }],
  });
  const found = createFileRegistry(file, () => file_google_protobuf_empty).getService("tariff.v1.TariffService");
  return found ?? assert.fail();
})() as DescService;

/** A server of it that knows nothing of the mesh. */
async function startTariffs() {
  let calls = 0;
  const quote = () => {
    calls += 1;
    return {};
  };
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer(connectNodeAdapter({ routes: (router) => router.service(tariffService, { quote } as never) }));
  server.on("session", (session) => sessions.add(session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  return { server: { close }, port: (server.address() as AddressInfo).port, called: () => calls };
}
