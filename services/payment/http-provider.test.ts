import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { reasonOf } from "#mesh/errors.ts";
import { httpProvider } from "./http-provider.ts";
import type { Provider } from "./provider.ts";

interface Seen {
  readonly path: string;
  readonly key: string;
  readonly authorization: string;
  readonly body: unknown;
}

describe("http provider", () => {
  const charge = {
    key: "p/charge",
    amount: 1234,
    currency: "EUR",
    method: "tok_visa",
    capture: true,
    description: "shoes",
    id: "",
  };
  const signal = () => AbortSignal.timeout(5000);
  let server: Server;
  let provider: Provider;
  let seen: Seen[];
  let answers: { status: number; body: object }[];

  beforeEach(async () => {
    [seen, answers] = [[], []];
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { url: path = "", headers } = request;
      const [key, authorization] = [String(headers["idempotency-key"]), String(headers.authorization)];
      seen.push({ path, key, authorization, body: JSON.parse(Buffer.concat(chunks).toString()) });
      const answer = answers.shift();
      // Nothing left to say: an acquirer that does not answer.
      if (answer !== undefined)
        response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/acquirer`);
    provider = httpProvider({ url, apiKey: "sk_test" });
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const fails = (work: Promise<unknown>, code: Code, reason?: string) =>
    assert.rejects(work, (error) => {
      assert.ok(error instanceof ConnectError, String(error));
      assert.deepEqual([Code[error.code], reasonOf(error)], [Code[code], reason]);
      return true;
    });

  it("charges under the idempotency key, and answers with the acquirer's id", async () => {
    answers = [{ status: 200, body: { id: "pi_1", status: "succeeded" } }];
    assert.equal(await provider.charge(charge, signal()), "pi_1");
    const body = {
      amount: 1234,
      currency: "eur",
      payment_method: "tok_visa",
      capture_method: "automatic",
      confirm: true,
      description: "shoes",
    };
    assert.deepEqual(seen, [{ path: "/acquirer/v1/payment_intents", key: "p/charge", authorization: "Bearer sk_test", body }]);
  });

  for (const [status, body, code, reason] of [
    [402, { error: { code: "expired_card", message: "expired" } }, Code.FailedPrecondition, "EXPIRED_CARD"],
    [402, {}, Code.FailedPrecondition, "CARD_DECLINED"],
    [200, { id: "pi_1", status: "canceled" }, Code.FailedPrecondition, "CARD_DECLINED"],
    [200, { id: "pi_1", status: "processing" }, Code.Unavailable, undefined],
    [429, {}, Code.Unavailable, undefined],
    [409, {}, Code.Unavailable, undefined],
    [500, {}, Code.Unavailable, undefined],
  ] as const) {
    it(`a charge answered ${status} ${JSON.stringify(body)} is ${Code[code]} ${reason ?? ""}`, async () => {
      answers = [{ status, body }];
      await fails(provider.charge(charge, signal()), code, reason);
    });
  }

  it("an acquirer that does not answer in time is DEADLINE_EXCEEDED, one that is not there UNAVAILABLE", async () => {
    await fails(provider.charge(charge, AbortSignal.timeout(50)), Code.DeadlineExceeded);
    const nowhere = httpProvider({ url: new URL("http://127.0.0.1:1"), apiKey: "" });
    await fails(nowhere.charge(charge, signal()), Code.Unavailable);
  });

  it("cancels a charge whose answer was lost: it asks again under the charge's key, then cancels what it finds", async () => {
    answers = [
      { status: 200, body: { id: "pi_1", status: "succeeded" } },
      { status: 400, body: { error: { code: "unexpected_state" } } },
      { status: 200, body: { id: "re_1" } },
    ];
    await provider.cancel(charge, "s/charge/undo", signal());
    assert.deepEqual(
      seen.map(({ path, key }) => [path.replace("/acquirer/v1", ""), key]),
      [
        ["/payment_intents", "p/charge"],
        ["/payment_intents/pi_1/cancel", "s/charge/undo"],
        ["/refunds", "s/charge/undo/refund"],
      ],
    );
  });

  it("cancelling a charge that was refused does nothing more", async () => {
    answers = [{ status: 402, body: { error: { code: "card_declined" } } }];
    await provider.cancel(charge, "k", signal());
    assert.equal(seen.length, 1);
  });

  it("captures and refunds a part of a known charge", async () => {
    answers = [
      { status: 200, body: {} },
      { status: 200, body: {} },
    ];
    await provider.capture({ ...charge, id: "pi/1" }, 1000, "c", signal());
    await provider.refund({ ...charge, id: "pi/1" }, 10, "r", signal());
    assert.deepEqual(
      seen.map(({ path, key, body }) => [path, key, body]),
      [
        ["/acquirer/v1/payment_intents/pi%2F1/capture", "c", { amount_to_capture: 1000 }],
        ["/acquirer/v1/refunds", "r", { payment_intent: "pi/1", amount: 10 }],
      ],
    );
  });
});
