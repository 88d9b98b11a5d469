/** Every vector against our own gateway, over sockets. */
import assert from "node:assert/strict";
import { type RecordingBackend, startBackend } from "./runner/backend.ts";
import { buildContract, type Contract } from "./runner/contract.ts";
import { bootOwn, type RunningGateway, startOwn } from "./runner/own.ts";
import { runVector } from "./runner/runner.ts";
import { loadChapters } from "./runner/vector.ts";

describe("gateway/conformance", () => {
  let contract: Contract;
  before(() => {
    contract = buildContract();
  });

  for (const { chapter, gateway: settings, vectors } of loadChapters()) {
    describe(chapter, () => {
      let backend: RecordingBackend;
      let gateway: RunningGateway;
      before(async () => {
        backend = await startBackend(contract);
        gateway = await startOwn(contract, backend.port, settings);
      });
      after(async () => {
        await gateway[Symbol.asyncDispose]();
        await backend[Symbol.asyncDispose]();
      });
      for (const [rule, ofRule] of Map.groupBy(vectors, (vector) => vector.rule)) {
        describe(rule, () => {
          for (const vector of ofRule) {
            if (vector.pending !== undefined) it(`${vector.name} (${vector.pending})`);
            else {
              it(vector.name, async () => {
                assert.deepEqual(await runVector({ url: gateway.url, backend, contract, boot: bootOwn }, vector), []);
              });
            }
          }
        });
      }
    });
  }
});
