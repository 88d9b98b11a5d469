import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { type Contracts, loadContracts } from "../contracts.ts";
import { echoContracts } from "../fixtures/echo.ts";
import { type MadeRule, type MadeService, madeImage } from "../fixtures/made-contract.ts";
import { shopContracts } from "../fixtures/shop.ts";
import { compilePlan, type Plan } from "../plan.ts";
import { resolveParameter } from "../query.ts";
import { Violations } from "../violations.ts";
import { type OpenApiOptions, openApiOf } from "./document.ts";
import type { Schema } from "./schema.ts";

const platform = loadContracts(readFileSync(new URL("../../gen/contracts.binpb", import.meta.url)));
const get = (value: string): MadeRule => ({ pattern: { case: "get", value } });

function planOf(contracts: Contracts): Plan {
  return compilePlan(contracts, []);
}

function made(...services: readonly MadeService[]): Plan {
  return planOf(loadContracts(madeImage(...services)));
}

/** Every operation of the contracts with where it stands. */
function operationsOf(document: Schema): Placed[] {
  return allOperationsOf(document).filter(({ operation }) => operation["x-rpc"] !== undefined);
}

interface Placed {
  readonly path: string;
  readonly httpMethod: string;
  readonly operation: Operation;
}

/** Those of the gateway itself, too. */
function allOperationsOf(document: Schema): Placed[] {
  return Object.entries(document.paths as Record<string, Schema>).flatMap(([path, item]) => {
    const { "x-additional-operations": others, ...known } = item;
    const all = [...Object.entries(known), ...Object.entries((others ?? {}) as Schema)];
    return all.map(([method, operation]) => ({
      path,
      httpMethod: /^[a-z]+$/.test(method) ? method.toUpperCase() : method,
      operation: operation as unknown as Operation,
    }));
  });
}

interface Operation {
  readonly operationId: string;
  readonly "x-rpc": string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly style?: string }[];
  readonly security: readonly Schema[];
  readonly responses: Schema;
}

const contracts: [name: string, contracts: Contracts, options: OpenApiOptions][] = [
  ["the platform's contracts", platform, { title: "Heddle" }],
  ["the echo contract", echoContracts, { openByDefault: true }],
];

for (const [name, from, options] of contracts) {
  describe(`gateway/openapi: ${name}`, () => {
    const plan = planOf(from);
    const document = openApiOf(plan, options);
    const text = JSON.stringify(document);

    it("is OpenAPI 3.1 to @seriousme/openapi-schema-validator", async () => {
      const { valid, errors } = await new Validator().validate(JSON.parse(text));
      assert.deepEqual([valid, errors], [true, undefined]);
    });

    it("has no errors to @redocly/openapi-core", async () => {
      const config = await createConfig({ extends: ["recommended"] });
      const problems = await lintFromString({ source: text, config });
      assert.deepEqual(
        problems.filter(({ severity }) => severity === "error").map(({ ruleId, message }) => `${ruleId}: ${message}`),
        [],
      );
    });

    it("leads every operation through the router to its own rpc, and has every route once", () => {
      const found = operationsOf(document).map(({ path, httpMethod, operation }) => {
        const [method = ""] = httpMethod.split(" ");
        const match = plan.router.match(method, path.replaceAll(/\{[^}]*\}/g, "x%20y"));
        assert.ok(match.kind === "found" && match.entry.target.kind === "rpc", `${httpMethod} ${path}: ${match.kind}`);
        const { method: rpc } = match.entry.target.route;
        assert.equal(`${rpc.parent.typeName}/${rpc.name}`, operation["x-rpc"]);
        return match.entry.target.route;
      });
      assert.equal(found.length, plan.routes.length);
      assert.equal(new Set(found).size, plan.routes.length);
    });

    it("names parameters by which the request's fields are found", () => {
      for (const { path, httpMethod, operation } of operationsOf(document)) {
        const [method = ""] = httpMethod.split(" ");
        const match = plan.router.match(method, path.replaceAll(/\{[^}]*\}/g, "x%20y"));
        assert.ok(match.kind === "found" && match.entry.target.kind === "rpc");
        const { input } = match.entry.target.route.method;
        for (const parameter of operation.parameters?.filter((one) => one.in === "query") ?? []) {
          // The keys of a map are read by its type: one of these is of any.
          const names = parameter.style === "deepObject" ? [`${parameter.name}[1]`, `${parameter.name}[true]`] : [parameter.name];
          const found = names.some((name) => resolveParameter(input, name, new Violations(), false) !== undefined);
          assert.ok(found, `${httpMethod} ${path}: ${parameter.name}`);
        }
      }
    });

    it("refers to components that there are", () => {
      const components = Object.keys((document.components as { schemas: Schema }).schemas);
      const referred = new Set([...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, component = ""]) => component));
      assert.deepEqual(
        [...referred].filter((component) => !components.includes(component)),
        [],
      );
    });
  });
}

describe("gateway/openapi: operations", () => {
  const operation = (id: string, of = openApiOf(planOf(platform))): Operation => {
    const found = operationsOf(of).find((one) => one.operation.operationId === id);
    assert.ok(found !== undefined, id);
    return found.operation;
  };

  const security: [id: string, expected: readonly Schema[]][] = [
    ["AuthService_Login", []],
    ["AuthService_GetMe", [{ bearer: [] }, { apiKey: [] }]],
    ["AuthService_ListSessions", [{ bearer: [] }]],
    ["AuthService_ListAuditLog", [{ bearer: ["admin"] }, { apiKey: ["admin", "audit:read"] }]],
    ["NotificationService_Send", [{ bearer: [] }, { apiKey: ["notifications:send"] }]],
  ];
  for (const [id, expected] of security) {
    it(`${id} asks for ${JSON.stringify(expected)}`, () => assert.deepEqual(operation(id).security, expected));
  }

  it("has no 401 and 403 where anybody may call, but for those that the comment names", () => {
    assert.deepEqual(Object.keys(operation("NotificationService_GetPushKey").responses), [
      "200",
      "400",
      "429",
      "431",
      "500",
      "503",
      "504",
      "default",
    ]);
    assert.ok("401" in operation("AuthService_Login").responses);
    assert.ok("409" in operation("AuthService_Register").responses);
  });

  it("writes a stream in its three forms", () => {
    const { content } = operation("NotificationService_WatchNotifications").responses["200"] as { content: Schema };
    assert.deepEqual(Object.keys(content), ["application/x-ndjson", "text/event-stream", "application/json"]);
  });

  it("leaves a method that only services may call out", () => {
    assert.equal(JSON.stringify(openApiOf(planOf(platform))).includes("ExchangeApiKey"), false);
  });

  it("tells of the gateway's own endpoints, and of none whose path a contract has", () => {
    const own = (of: Plan) =>
      allOperationsOf(openApiOf(of))
        .filter(({ operation }) => operation["x-rpc"] === undefined)
        .map(({ httpMethod, path }) => `${httpMethod} ${path}`);
    const all = [
      "GET /health",
      "GET /registry",
      "POST /circuit-breaker/reset/{service}",
      "POST /api/v1/batch",
      "GET /api/v1/gateway/stats",
    ];
    assert.deepEqual(own(planOf(platform)), all);
    const taken = made({ name: "a.v1.A", methods: { Get: get("/health") } });
    assert.deepEqual(own(taken), all.slice(1));
  });

  it("has fields=, preconditions and their statuses where the gateway has them", () => {
    const shop = openApiOf(planOf(shopContracts()));
    const told = operationsOf(shop).map(({ httpMethod, path, operation: { parameters = [], responses } }) => {
      const refs = parameters.flatMap((one) => ("$ref" in one ? [String(one.$ref).replace("#/components/parameters/", "")] : []));
      return `${httpMethod} ${path}: ${refs.join()} ${["304", "412"].filter((status) => status in responses).join()}`;
    });
    assert.deepEqual(told, [
      "GET /api/v1/items/{id}: fields,ifMatch,ifNoneMatch 304,412",
      "PATCH /api/v1/items/{id}: fields,ifMatch 412",
      "PUT /api/v1/items/{id}: fields,ifMatch 412",
      "DELETE /api/v1/items/{id}:  412",
      "POST /api/v1/items: fields,ifMatch 412",
      "GET /api/v1/search:  ",
      "GET /api/v1/items:watch: fields ",
      "GET /api/v1/catalog: fields,ifMatch,ifNoneMatch 304,412",
      "GET /api/v1/basket: fields,ifMatch,ifNoneMatch 304,412",
      "GET /api/v1/items/{id}/prices: ifMatch,ifNoneMatch 304,412",
      "POST /api/v1/prices: fields 412",
      "POST /shop.v1.ShopService/DrawPrices:  412",
      "POST /shop.v1.ShopService/ListPrices:  412",
      "GET /api/v1/old/{id}: fields,ifMatch,ifNoneMatch 304,412",
      "GET /api/v1/files/{path}: fields ",
      "GET /api/v2/items/{id}: fields ",
    ]);
  });

  it("numbers further bindings, and names services of one name by their packages", () => {
    const twice = { pattern: { case: "get" as const, value: "/v1/a" }, additionalBindings: [get("/v1/b") ?? {}] };
    const plan = made(
      { name: "a.v1.Same", methods: { Get: twice } },
      { name: "b.v1.Same", methods: { Get: get("/v1/c") } },
      { name: "c.v1.Other", methods: { Get: get("/v1/d") } },
    );
    const ids = operationsOf(openApiOf(plan)).map((one) => one.operation.operationId);
    assert.deepEqual(ids, ["a_v1_Same_Get", "a_v1_Same_Get_2", "b_v1_Same_Get", "Other_Get"]);
  });

  it("makes one path of /v1/{name}, /v1/{count} and /v1/{name=**}", () => {
    const plan = made({
      name: "a.v1.A",
      methods: {
        Get: get("/v1/{name}"),
        Put: { pattern: { case: "put", value: "/v1/{count}" } },
        Deep: get("/v1/{name=**}"),
        Search: { pattern: { case: "custom", value: { kind: "SEARCH", path: "/v1/{name}" } } },
        Any: { pattern: { case: "custom", value: { kind: "*", path: "/v1/{name}" } }, body: "*" },
      },
    });
    const found = operationsOf(openApiOf(plan)).map((one) => `${one.httpMethod} ${one.path} ${one.operation["x-rpc"]}`);
    assert.deepEqual(found, [
      "GET /v1/{name} a.v1.A/Get",
      "PUT /v1/{name} a.v1.A/Put",
      "POST /v1/{name} a.v1.A/Any",
      "GET /v1/{name=**} /v1/{name} a.v1.A/Deep",
      "SEARCH /v1/{name} a.v1.A/Search",
    ]);
  });

  it("takes the parts of {name=shelves/*/books/*} apart", () => {
    const plan = made({ name: "a.v1.A", methods: { Get: get("/v1/{name=shelves/*/books/*}:x") } });
    const [only] = operationsOf(openApiOf(plan));
    assert.equal(only?.path, "/v1/shelves/{name.1}/books/{name.2}:x");
    assert.deepEqual(
      only?.operation.parameters?.filter((one) => one.in === "path").map(({ name }) => name),
      ["name.1", "name.2"],
    );
  });
});
