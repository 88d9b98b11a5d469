import assert from "node:assert/strict";
import { ContractError, contractsOf } from "./contracts.ts";
import { randomContract, withRule } from "./fuzz/contract.ts";
import { describeFinding } from "./fuzz/describe.ts";
import { fuzz } from "./fuzz/fuzz.ts";
import { isTemplate } from "./fuzz/naive-template.ts";
import { Random } from "./fuzz/random.ts";
import { mutateTemplate, randomTemplate } from "./fuzz/template.ts";
import { routesOf } from "./routes.ts";

describe("gateway/fuzz", () => {
  it("20,000 random requests over 20 random contracts come to what the oracle says: no 5xx, no hang, no other message", async function () {
    this.timeout(300_000);
    const report = await fuzz({ requests: 20_000, seed: 1 });
    assert.deepEqual(report.findings.map(describeFinding), []);
    const share = report.served / report.requests;
    assert.ok(share > 0.25, `only ${report.served} requests were served`);
    assert.ok(report.unknowable < report.requests / 50, `of ${report.unknowable} the oracle did not know`);
  });

  it("3,000 templates, most of them broken somewhere, are taken exactly when the grammar of http.proto takes them", function () {
    this.timeout(60_000);
    const random = new Random(1);
    let taken = 0;
    for (let turn = 0; turn < 30; turn++) {
      const contract = randomContract(random, turn);
      for (let index = 0; index < 100; index++) {
        const { file, input } = withRule(random, contract, (type) => mutateTemplate(random, randomTemplate(random, type).text));
        const isGood = isTemplate(file.template, input);
        if (isGood) taken++;
        assert.equal(
          isServed(file.files),
          isGood,
          `${file.template} over ${input.fields.map((field) => field.toString()).join()}`,
        );
      }
    }
    assert.ok(taken > 200 && taken < 2800, `${taken} were good`);
  });
});

function isServed(files: Parameters<typeof contractsOf>[0]["files"]): boolean {
  try {
    routesOf(contractsOf({ origin: "fuzz", files, services: undefined }), { allowSuffixAfterDeepWildcard: true });
    return true;
  } catch (error) {
    if (error instanceof ContractError) return false;
    throw error;
  }
}
