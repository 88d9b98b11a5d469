import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import pino from "pino";
import { reasonOf } from "#mesh/errors.ts";
import { isCode } from "#mesh/storage/database.fixture.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { testDatabase } from "#mesh/testing.ts";
import type { Charge, Provider } from "./provider.ts";
import { simulatedAcquirer } from "./simulated-acquirer.ts";

const log = pino({ level: "silent" });

describe("simulated acquirer", () => {
  let db: Database;
  let provider: Provider;
  let now = 1_000_000;

  beforeEach(async () => {
    db = await openDatabase({ url: await testDatabase(), service: "test", log });
    await migrate(db, new URL("./migrations/", import.meta.url), log);
    provider = simulatedAcquirer({ db, clock: () => now, latenessMs: 60_000 });
  });

  afterEach(() => db[Symbol.asyncDispose]());

  const charge = (method: string, key = "p/charge"): Charge => {
    return { key, amount: 100, currency: "EUR", method, capture: true, description: "", id: key };
  };
  const soon = () => AbortSignal.timeout(50);
  const taken = async () => {
    const [row] = await db.query<{ taken: number }>(
      "select coalesce(sum(captured_amount - refunded_amount), 0)::int as taken from acquirer_charge",
    );
    return row?.taken;
  };
  const hasReason = (reason: string) => (error: unknown) =>
    isCode(Code.FailedPrecondition)(error) && reasonOf(error as never) === reason;

  it("charges once for the same key, however often it is asked", async () => {
    for (let n = 0; n < 3; n++) assert.equal(await provider.charge(charge("tok_visa"), soon()), "p/charge");
    assert.equal(await taken(), 100);
  });

  it("tok_late: charges at the first call, answers only when the time has come, and charges nothing more then", async () => {
    await assert.rejects(provider.charge(charge("tok_late"), soon()), { name: "TimeoutError" });
    assert.equal(await taken(), 100);
    now += 60_000;
    assert.equal(await provider.charge(charge("tok_late"), soon()), "p/charge");
    assert.equal(await taken(), 100);
  });

  it("tok_never: what was charged without an answer is given back by cancel, and stays so when the call comes again", async () => {
    await assert.rejects(provider.charge(charge("tok_never"), soon()), { name: "TimeoutError" });
    await provider.cancel(charge("tok_never"), "undo", soon());
    await assert.rejects(provider.charge(charge("tok_never"), soon()), { name: "TimeoutError" });
    assert.equal(await taken(), 0);
  });

  it("a charge that was cancelled before it was heard of never takes place", async () => {
    await provider.cancel(charge("tok_visa"), "undo", soon());
    await assert.rejects(provider.charge(charge("tok_visa"), soon()), hasReason("CHARGE_VOIDED"));
    assert.equal(await taken(), 0);
  });

  it("tok_declined: the same refusal to the same key, each time", async () => {
    for (let n = 0; n < 2; n++) await assert.rejects(provider.charge(charge("tok_declined"), soon()), hasReason("CARD_DECLINED"));
    assert.equal(await taken(), 0);
  });

  it("tok_flaky: UNAVAILABLE twice, then charged once", async () => {
    for (let n = 0; n < 2; n++) await assert.rejects(provider.charge(charge("tok_flaky"), soon()), isCode(Code.Unavailable));
    await provider.charge(charge("tok_flaky"), soon());
    assert.equal(await taken(), 100);
  });

  it("captures a part of what was reserved, and refunds each key once, no more than was taken", async () => {
    const reserved = { ...charge("tok_visa"), capture: false };
    await provider.charge(reserved, soon());
    assert.equal(await taken(), 0);
    for (let n = 0; n < 2; n++) await provider.capture(reserved, 60, "capture", soon());
    for (let n = 0; n < 2; n++) await provider.refund(reserved, 50, "refund", soon());
    assert.equal(await taken(), 10);
    await assert.rejects(provider.refund(reserved, 50, "refund 2", soon()), hasReason("REFUND_EXCEEDS_CHARGE"));
    assert.equal(await taken(), 10);
  });
});
