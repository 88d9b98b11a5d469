import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { declaredCalls } from "./declared-calls.ts";
import { type CallGraph, mermaidGraph, svgGraph, textGraph } from "./drawing.ts";
import { attemptsOf } from "./seen-calls.ts";

describe("heddle graph", () => {
  const calls: CallGraph = {
    services: ["auth", "ledger", "payment", "value-architect"],
    declared: [{ from: "payment", to: "ledger", contracts: ["ledger.v1.TransactionService"] }],
    seen: [
      { from: "payment", to: "ledger", attempts: 7 },
      { from: "payment", to: "auth", attempts: 2 },
    ],
  };

  it("draws text: declared and seen, seen only, and who stands alone", () => {
    assert.equal(
      textGraph(calls),
      [
        "payment -> auth    2 attempts  (by the mesh: tokens, audit)",
        "payment -> ledger  7 attempts",
        "alone: value-architect",
        "",
      ].join("\n"),
    );
    assert.equal(textGraph({ ...calls, seen: undefined }), "payment -> ledger\nalone: auth, value-architect\n");
  });

  it("draws Mermaid: dotted where only the metrics know", () => {
    const [, ...lines] = mermaidGraph(calls).split("\n");
    assert.deepEqual(lines, [
      '  auth["auth"]',
      '  ledger["ledger"]',
      '  payment["payment"]',
      '  value_architect["value-architect"]',
      "  payment -.->|2| auth",
      "  payment -->|7| ledger",
      "",
    ]);
  });

  it("draws SVG with every name, the same each time, also in a circle of calls", async () => {
    const circle = { ...calls, declared: [...calls.declared, { from: "ledger", to: "payment", contracts: [] }] };
    const svg = await svgGraph(circle);
    assert.match(svg, /^<svg /);
    for (const name of calls.services) assert.ok(svg.includes(`>${name}</text>`), name);
  });

  it("reads attempts from Prometheus text, by target, without a service's calls of itself", () => {
    const text = [
      "# TYPE grpc_client_attempt_started_total counter",
      'grpc_client_attempt_started_total{grpc_method="a.v1.A/Get",grpc_target="auth",service="x"} 3',
      'grpc_client_attempt_started_total{grpc_method="a.v1.A/Get",grpc_target="payment"} 9',
    ].join("\n");
    assert.deepEqual(attemptsOf("payment", text), [{ from: "payment", to: "auth", attempts: 3 }]);
  });

  it("finds client(XService) in a service's folder, not in its tests", async () => {
    const root = mkdtempSync(join(tmpdir(), "heddle-graph-"));
    try {
      const write = (file: string, text: string) => {
        mkdirSync(join(root, "services", file, ".."), { recursive: true });
        writeFileSync(join(root, "services", file), text);
      };
      writeFileSync(join(root, "package.json"), '{"type": "module"}');
      write("a/service.ts", 'export const a = { contracts: [{ typeName: "a.v1.AService" }] };');
      write("b/service.ts", 'export const b = { contracts: [{ typeName: "b.v1.BService" }] };');
      write("b/store.ts", 'import { AService } from "#gen/a/v1/a_pb.ts";\nexport const x = (mesh) => mesh.client(AService);');
      write("a/a.test.ts", 'import { BService } from "#gen/b/v1/b_pb.ts";\nmesh.client(BService);');
      const service = { portVariable: "", needs: [], database: false, discovered: true, port: 1 };
      const platform = ["a", "b"].map((name) => ({ ...service, name, entry: `services/${name}/service.ts` }));
      assert.deepEqual(await declaredCalls(root, platform), [{ from: "b", to: "a", contracts: ["a.v1.AService"] }]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
