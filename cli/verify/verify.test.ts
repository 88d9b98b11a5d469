import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create, fromBinary, setExtension, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, type MethodOptions, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { http } from "#gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { AccessLevel, AccessRuleSchema, access } from "#gen/heddle/v1/access_pb.ts";
import { loadContracts } from "../../gateway/contracts.ts";
import { compilePlan } from "../../gateway/plan.ts";
import { codeFindings } from "./code-rules.ts";
import { contractFindings } from "./contract-rules.ts";
import { deploymentFindings } from "./deployment-rules.ts";

const repository = join(import.meta.dirname, "../..");

/** Options of a method: who may call it, and its GET route. */
function options(level: AccessLevel | undefined, get?: string, role = ""): MethodOptions {
  const value = create(MethodOptionsSchema);
  if (level !== undefined) setExtension(value, access, create(AccessRuleSchema, { level, role }));
  if (get !== undefined) setExtension(value, http, create(HttpRuleSchema, { pattern: { case: "get", value: get } }));
  return value;
}

/** shop.v1.Shop with these methods, all on Empty-like messages. */
function shop(methods: Readonly<Record<string, MethodOptions>>) {
  const file = {
    name: "shop/v1/shop.proto",
    package: "shop.v1",
    syntax: "proto3",
    messageType: [{ name: "Nothing" }],
    service: [
      {
        name: "Shop",
        method: Object.entries(methods).map(([name, value]) => ({
          name,
          inputType: ".shop.v1.Nothing",
          outputType: ".shop.v1.Nothing",
          options: value,
        })),
      },
    ],
  };
  const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [file] }));
  return loadContracts(toBinary(FileDescriptorSetSchema, fromBinary(FileDescriptorSetSchema, set)));
}

describe("heddle verify", () => {
  let root: string;
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "heddle-verify-"));
    mkdirSync(join(root, "services"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  describe("contracts", () => {
    const found = (methods: Readonly<Record<string, MethodOptions>>) => {
      const plan = compilePlan(shop(methods), []);
      write("proto/shop/v1/shop.proto", "");
      return contractFindings(root, plan.contracts.types, plan).map(({ file, rule, what }) => `${file} ${rule}: ${what}`);
    };
    const config = (value: unknown) => write("proto/shop/v1/service-config.json", JSON.stringify(value));
    const good = { methodConfig: [{ name: [{ service: "shop.v1.Shop" }], timeout: "1s" }] };

    it("are in order with a route, an access rule and a service config", () => {
      config(good);
      assert.deepEqual(found({ Get: options(AccessLevel.PUBLIC, "/v1/a"), Own: options(AccessLevel.SERVICE) }), []);
    });

    it("name the method without an access rule, and a role without a name", () => {
      config(good);
      assert.deepEqual(found({ Get: options(undefined, "/v1/a"), Set: options(AccessLevel.ROLE, "/v1/b") }), [
        "proto/shop/v1/shop.proto access-rule: shop.v1.Shop/Get does not say who may call it",
        "proto/shop/v1/shop.proto access-rule: shop.v1.Shop/Set asks for a role and names none",
      ]);
    });

    it("name the method without a route, and the route that nobody may use", () => {
      config(good);
      assert.deepEqual(found({ Get: options(AccessLevel.PUBLIC), Own: options(AccessLevel.SERVICE, "/v1/own") }), [
        "proto/shop/v1/shop.proto rest-route: shop.v1.Shop/Get has no REST route",
        "proto/shop/v1/shop.proto rest-route: shop.v1.Shop/Own has a route that the gateway refuses to everybody",
      ]);
    });

    it("name the missing service config, and a mistake in one with its place", () => {
      const methods = { Get: options(AccessLevel.PUBLIC, "/v1/a") };
      const file = "proto/shop/v1/service-config.json service-config";
      assert.deepEqual(found(methods), [`${file}: shop.v1.Shop has no service config: its calls have no deadline`]);
      config({ methodConfig: [{ name: [{ service: "shop.v1.Shop" }], timeout: "1 s" }] });
      assert.deepEqual(found(methods), [
        `${file}: methodConfig[0].timeout: expected a duration above 0 in seconds with up to 9 decimals such as "0.5s", got "1 s"`,
      ]);
    });
  });

  describe("code", () => {
    const found = () => codeFindings(root).map(({ file, rule, what }) => `${file} ${rule}: ${what}`);

    it("names what a service's folder lacks", () => {
      write("services/shop/migrations/first.sql", "");
      write("services/shop/service.ts", "export const shop = 1;\n");
      assert.deepEqual(found(), [
        "services/shop/handlers.ts folder-shape: services/shop has no handlers.ts",
        "services/shop folder-shape: services/shop has no test",
        "services/shop/migrations/first.sql folder-shape: the name gives no order",
        "services/shop/service.ts folder-shape: its migrations are never applied",
      ]);
    });

    it("names the line that imports another service, and leaves the mesh, its own files and tests alone", () => {
      write("services/shop/service.ts", 'import { a } from "#mesh/service.ts";\nimport { b } from "../auth/user.ts";\n');
      write("services/shop/handlers.ts", 'import { c } from "./service.ts";\n');
      write("services/shop/shop.test.ts", 'import { auth } from "../auth/service.ts";\n');
      assert.deepEqual(found(), ["services/shop/service.ts:2 service-imports: it imports code of the service auth"]);
    });

    it("names a file of 301 lines", () => {
      write("services/shop/service.ts", "//\n".repeat(301));
      write("services/shop/handlers.ts", "//\n".repeat(300));
      write("services/shop/shop.test.ts", "//\n");
      assert.deepEqual(found(), ["services/shop/service.ts file-length: it has 301 lines"]);
    });
  });

  describe("deployment", () => {
    const entry = { portVariable: "X", needs: [], database: false, discovered: true };
    const shopService = { ...entry, name: "shop", entry: "services/shop/service.ts", port: 7100 };
    const found = async (platform: readonly (typeof shopService)[]) => {
      const { types } = shop({ Get: options(AccessLevel.PUBLIC, "/v1/a") });
      return (await deploymentFindings(root, platform, types)).map(({ file, rule, what }) => `${file} ${rule}: ${what}`);
    };
    beforeEach(() => {
      mkdirSync(join(root, "proto"));
      write("package.json", '{"type": "module"}');
      write("services/shop/service.ts", 'export const shop = { name: "shop", port: 7100 };\n');
    });

    it("names a service that is never started, and one that is defined otherwise than listed", async () => {
      assert.deepEqual(await found([]), ["services/platform.ts platform-list: services/shop/service.ts is never started"]);
      assert.deepEqual(await found([{ ...shopService, port: 7101 }]), [
        "services/shop/service.ts platform-list: it does not define a service shop on port 7101, as services/platform.ts says",
      ]);
    });

    it("names what Compose does not run, runs otherwise, and asks at another port", async () => {
      write("docker-compose.yml", "services: {}\n");
      assert.deepEqual(await found([shopService]), ["docker-compose.yml compose: it does not run shop"]);
      const test = ["CMD", "node", "-e", "fetch('http://127.0.0.1:8101/readyz')"];
      write("docker-compose.yml", JSON.stringify({ services: { shop: { command: "services/shops", healthcheck: { test } } } }));
      assert.deepEqual(await found([shopService]), [
        "docker-compose.yml compose: shop runs services/shops",
        "docker-compose.yml compose: shop's health check does not ask http://127.0.0.1:8100/readyz",
      ]);
    });

    it("names a service config whose key would belong to no contract", async () => {
      write("proto/shop/v1/service-config.json", '{"methodConfig": [{"name": [{"service": "shop.v1.Shops"}]}]}');
      assert.deepEqual(await found([shopService]), [
        "proto/shop/v1/service-config.json consul-seed: it would seed a key for shop.v1.Shops, which is no contract",
      ]);
    });
  });

  it("finds nothing in this project", async () => {
    const { verify } = await import("../commands/verify.ts");
    const { commandContext } = await import("../command-context.ts");
    let printed = "";
    const out = { write: (text: string) => (printed += text) } as unknown as NodeJS.WriteStream;
    const context = { ...commandContext(repository), out };
    assert.equal(await verify(context, { json: true }), 0, printed);
    assert.deepEqual(JSON.parse(printed), []);
  }).timeout(20_000);
});
