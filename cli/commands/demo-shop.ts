import { randomUUID } from "node:crypto";
import type { CommandContext } from "../command-context.ts";
import { Narrator } from "../demo/narrator.ts";
import { asOperator } from "../demo/operator.ts";
import { eventually, newUser, type PlatformUser } from "../demo/platform-user.ts";
import { Failure } from "../failure.ts";

const income = 250_000n;
const price = 4_990n;

/** `heddle demo shop`: somebody earns, pays, and sees it in the ledger, among the events, in the mail and in the analytics. 1 when a promise did not hold. */
export async function demoShop(context: CommandContext): Promise<number> {
  const story = new Narrator(context);
  const user = await newUser(context, "shopper", ["auth", "ledger", "payment", "notification", "events", "analytics"]);
  story.say(`${user.email} has registered and signed in.`);

  story.chapter("An account, and money on it.");
  const wallet = await user.want("POST", "/api/v1/accounts", { requestId: randomUUID(), currency: "EUR", displayName: "Wallet" });
  story.say(`opened ${wallet.id} in EUR`);
  const entry = { requestId: randomUUID(), kind: "TRANSACTION_KIND_INCOME", amount: String(income), category: "salary" };
  await user.want("POST", `/api/v1/accounts/${wallet.id}/transactions`, entry);
  await story.promise("the balance is 2,500.00 EUR", () => balanceIs(user, wallet.id, income));

  story.chapter("A payment of 49.90 EUR: a saga over ledger, acquirer and notification.");
  const order = {
    requestId: randomUUID(),
    accountId: wallet.id,
    amount: String(price),
    currency: "EUR",
    paymentMethod: "tok_visa",
    description: "A book about looms",
    category: "books",
    receiptEmail: user.email,
  };
  const payment = await user.want("POST", "/api/v1/payments", order);
  story.say(`payment ${payment.id} is ${payment.status}`);
  const path = `/api/v1/payments/${payment.id}`;
  await story.promise("it ends captured", async () => {
    const ended = await eventually(
      path,
      () => user.ask("GET", path),
      ({ body }) => /CAPTURED|DECLINED|FAILED/.test(body.status),
    );
    if (ended.body.status !== "PAYMENT_STATUS_CAPTURED") throw new Failure(JSON.stringify(ended.body));
    return ended.body.status;
  });
  await story.promise("the same request again is the same payment, and takes nothing more", async () => {
    const again = await user.want("POST", "/api/v1/payments", order);
    if (again.id !== payment.id) throw new Failure(`it made ${again.id}`);
    return balanceIs(user, wallet.id, income - price);
  });

  story.chapter("What everybody else saw of it.");
  await story.promise("the ledger has one transaction of 49.90 EUR for books", async () => {
    const { transactions = [] } = await user.want("GET", `/api/v1/accounts/${wallet.id}/transactions?category=books`);
    if (transactions.length !== 1 || transactions[0].amount !== String(price)) throw new Failure(JSON.stringify(transactions));
    return transactions[0].id;
  });
  await story.promise("payment.captured is among the events, once", async () => eventIs(context, payment.id));
  await story.promise("a receipt is in the mail", async () => {
    const ask = () => user.ask("GET", `/api/v1/users/${user.id}/notifications`);
    const mine = (body: { notifications?: readonly { recipient: string; subject: string; template?: string }[] }) =>
      (body.notifications ?? []).find(
        ({ subject, template }) => template !== "verify-email" && /pa(y|id)|receipt/i.test(subject),
      );
    const { body } = await eventually("the receipt", ask, (answer) => mine(answer.body) !== undefined);
    return mine(body)?.subject ?? "";
  });
  await story.promise("the analytics count it: 2,500.00 in, 49.90 out", async () => {
    const query = { metric: "cash_flow", period: "P1D", currency: "EUR", fresh: true };
    const answer = await user.want("POST", "/api/v1/analytics/query", query);
    const text = JSON.stringify(answer);
    if (!text.includes(`"${income}"`) || !text.includes(`"${price}"`)) throw new Failure(text.slice(0, 500));
    return "";
  });

  story.chapter("A card that is declined.");
  const declined = await user.want("POST", "/api/v1/payments", {
    ...order,
    requestId: randomUUID(),
    paymentMethod: "tok_declined",
  });
  await story.promise("it ends declined, and the reserved money is free again", async () => {
    const there = `/api/v1/payments/${declined.id}`;
    const ended = await eventually(
      there,
      () => user.ask("GET", there),
      ({ body }) => !/PROCESSING|CAPTURING/.test(body.status),
    );
    if (ended.body.status !== "PAYMENT_STATUS_DECLINED") throw new Failure(JSON.stringify(ended.body));
    const account = await user.want("GET", `/api/v1/accounts/${wallet.id}`);
    if (account.available !== String(income - price)) throw new Failure(`available is ${account.available}`);
    return ended.body.status;
  });
  return story.end();
}

async function balanceIs(user: PlatformUser, account: string, expected: bigint): Promise<string> {
  const { balance } = await user.want("GET", `/api/v1/accounts/${account}/balance`);
  if (balance !== String(expected)) throw new Failure(`the balance is ${balance}, not ${expected}`);
  return balance;
}

async function eventIs(context: CommandContext, payment: string): Promise<string> {
  const request = { topic: "payments", types: ["payment.captured"], pageSize: 1000 };
  const read = async () => {
    const keys: string[] = [];
    let pageToken = "";
    do {
      const page = await asOperator(context, "events.v1.EventService/ListEvents", { ...request, pageToken });
      for (const { key } of page.events ?? []) keys.push(key);
      pageToken = page.nextPageToken ?? "";
    } while (pageToken !== "");
    return { status: 200, headers: new Headers(), body: keys.filter((key) => key === payment), ms: 0 };
  };
  const { body } = await eventually("payment.captured", read, (answer) => answer.body.length > 0);
  if (body.length !== 1) throw new Failure(`${body.length} times`);
  return "topic payments";
}
