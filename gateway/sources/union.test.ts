import assert from "node:assert/strict";
import { ContractError, contractsOf } from "../contracts.ts";
import { type MadeService, madeFile } from "../fixtures/made-contract.ts";
import { combineSources } from "./combined-source.ts";
import { ChangingContracts, type ContractFiles } from "./source.ts";
import { unionOf } from "./union.ts";

const a: MadeService = { name: "a.v1.A", methods: { Get: undefined } };
const b: MadeService = { name: "b.v1.B", methods: { Get: undefined } };

function part(origin: string, ...services: readonly MadeService[]): ContractFiles {
  return { origin, files: services.map(madeFile), services: new Set(services.map(({ name }) => name)) };
}

function methodsOf(files: ContractFiles): string[] {
  return contractsOf(files).methods.map(({ desc }) => `${desc.parent.typeName}/${desc.name}`);
}

function mistakesOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof ContractError) return error.mistakes;
    throw error;
  }
  return [];
}

describe("gateway/sources/union", () => {
  it("serves the services of all, with the gateway's own imports", () => {
    assert.deepEqual(methodsOf(unionOf([part("one", a), part("two", b)], "both")), ["a.v1.A/Get", "b.v1.B/Get"]);
  });

  it("takes a file that two have once", () => {
    assert.deepEqual(methodsOf(unionOf([part("one", a), part("two", a)], "both")), ["a.v1.A/Get"]);
  });

  it("does not mind comments, nor JSON names that are the default written out", () => {
    const plain = madeFile(a);
    for (const { field } of plain.messageType) for (const one of field) one.jsonName = "";
    const other = { origin: "two", files: [plain], services: undefined };
    assert.deepEqual(methodsOf(unionOf([part("one", a), other], "both")), ["a.v1.A/Get"]);
  });

  it("keeps two files of one name that define different things", () => {
    const [first, second] = [a, b].map((service) => ({ ...service, file: "service.proto" }));
    assert.ok(first !== undefined && second !== undefined);
    const union = unionOf([part("one", first), part("two", second)], "both");
    assert.deepEqual(methodsOf(union), ["a.v1.A/Get", "b.v1.B/Get"]);
  });

  it("refuses one symbol with two definitions, and names both origins", () => {
    const changed = { ...a, countType: 3 };
    assert.deepEqual(
      mistakesOf(() => unionOf([part("one", a), part("two", changed)], "both")),
      [
        'a.v1.Request is defined in "a/v1/a.proto" of one and, otherwise, in "a/v1/a.proto" of two: one gateway serves one definition',
      ],
    );
  });
});

class Source extends ChangingContracts {
  get floor(): ContractFiles {
    return this.current;
  }
  change(next: () => ContractFiles): void {
    this.publish(next);
  }
  [Symbol.dispose](): void {}
}

describe("gateway/sources/combined-source", () => {
  it("takes an image's word for its services, and adds those that it lacks", () => {
    const image = new Source(part("image", { ...a, methods: { Get: undefined, Put: undefined } }));
    const reflection = new Source(part("reflection", a, b));
    assert.deepEqual(methodsOf(combineSources(image, reflection).current), ["a.v1.A/Get", "a.v1.A/Put", "b.v1.B/Get"]);
  });

  it("keeps what holds, and says why, for as long as one of the two is wrong", () => {
    const image = new Source(part("image", a));
    const reflection = new Source(part("reflection"));
    const both = combineSources(image, reflection);
    const told: string[][] = [];
    both.subscribe((next) => told.push(next instanceof ContractError ? [...next.mistakes] : methodsOf(next)));
    const broken = () => {
      throw new ContractError(["no image"]);
    };
    image.change(broken);
    reflection.change(() => part("reflection", b));
    image.change(() => part("image", a));
    assert.deepEqual(told, [["no image"], ["no image"], ["a.v1.A/Get", "b.v1.B/Get"]]);
  });
});
