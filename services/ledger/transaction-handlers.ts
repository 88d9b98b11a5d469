/** The methods of TransactionService: messages to domain values, rules, store, and back. */
import { create } from "@bufbuild/protobuf";
import { HttpBodySchema } from "#gen/google/api/httpbody_pb.ts";
import { TransactionKind as Kind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { type RecordEntryRequest, TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { internal, notFound, notYours } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { currentWho, type HandlerParts, visibleAccount } from "./account-handlers.ts";
import type { Outcome } from "./batch.ts";
import type { Action } from "./decide.ts";
import {
  type Columns,
  getHold,
  getTransaction,
  listTransactions,
  type Scope,
  scanPostings,
  statementLines,
} from "./history-store.ts";
import type { Line } from "./ledger.ts";
import { holdMessage, kindNameOf, kindOf, millisecondsOf, transactionMessage } from "./messages.ts";
import { callerKey, mayActFor, ownerOf, serviceKey } from "./ownership.ts";
import { assertBalanced } from "./posting.ts";
import { scanTransactions } from "./scan-store.ts";
import { statementHead, statementPart } from "./statement.ts";

/** The contract and its methods. */
export function transactionHandlers({ db, writer, clock }: HandlerParts): Implementation {
  /** In the name of the person, or of the service that calls in nobody's. */
  const submit = (action: Action, requestId: string): Promise<Outcome> => {
    const who = currentWho();
    return writer.submit({ action, may: (userId) => mayActFor(who, userId), request: { caller: callerKey(who), requestId } });
  };
  /** In the name of the calling service. What it may do it has been told before: only a new hold asks whose account it is. */
  const submitForService = (action: Action, requestId: string): Promise<Outcome> => {
    const who = currentWho();
    return writer.submit({ action, may: (userId) => mayActFor(who, userId), request: { caller: serviceKey(who), requestId } });
  };
  /** Looked at now, while the context of the call is here. */
  const scopeOf = async (accountId: string, userId: string): Promise<Scope> =>
    accountId === "" ? { userId: ownerOf(currentWho(), userId) } : { accountId: (await visibleAccount(db, accountId)).id };

  return implement(TransactionService, {
    async recordTransaction({ requestId, accountId, kind, amount, currency, category, description, occurTime }) {
      const [name, sign] = kind === Kind.INCOME ? (["income", 1n] as const) : (["expense", -1n] as const);
      const lines: Line[] = [
        { to: { accountId: accountId.toLowerCase() }, amount: sign * amount },
        { to: { outside: name }, amount: -sign * amount },
      ];
      const texts = { category: textOr(category, "uncategorized"), description: description.toWellFormed() };
      const draft = { kind: name, lines, currency, ...texts, occurTime: millisecondsOf(occurTime) };
      return recordedBy(await submit({ type: "record", draft }, requestId));
    },

    async transfer({ requestId, fromAccountId, toAccountId, amount, currency, category, description }) {
      const lines: Line[] = [
        { to: { accountId: fromAccountId.toLowerCase() }, amount: -amount },
        { to: { accountId: toAccountId.toLowerCase() }, amount },
      ];
      const texts = { category: textOr(category, "transfer"), description: description.toWellFormed() };
      const draft = { kind: "transfer", lines, currency, ...texts, occurTime: undefined } as const;
      return recordedBy(await submit({ type: "record", draft }, requestId));
    },

    async recordEntry(request) {
      const { requestId, currency, category, description, occurTime } = request;
      const lines = linesOf(request);
      assertBalanced(lines);
      const texts = { category: textOr(category, "entry"), description: description.toWellFormed() };
      const draft = { kind: "entry", lines, currency, ...texts, occurTime: millisecondsOf(occurTime) } as const;
      return recordedBy(await submit({ type: "record", draft }, requestId));
    },

    async getTransaction({ transactionId }) {
      const found = await getTransaction(db, transactionId.toLowerCase());
      if (found === undefined) throw notFound("transaction", transactionId);
      const who = currentWho();
      if (!found.users.some((userId) => mayActFor(who, userId))) throw notYours("transaction", transactionId);
      return { transaction: transactionMessage(found.transaction) };
    },

    async listTransactions({ accountId, userId, fromTime, toTime, kind, category, currency, pageSize, pageToken }) {
      const { items, more } = await listTransactions(db, {
        scope: await scopeOf(accountId, userId),
        fromTime: millisecondsOf(fromTime),
        toTime: millisecondsOf(toTime),
        kind: kindNameOf[kind],
        category: category.toWellFormed(),
        currency,
        size: pageSize || defaultPageSize,
        after: decodePageToken(pageToken),
      });
      const last = items.at(-1);
      const nextPageToken = more && last !== undefined ? encodePageToken([last.occurTime, last.id]) : "";
      return { transactions: items.map(transactionMessage), nextPageToken };
    },

    async *scanPostings({ accountId, userId, fromTime, toTime, currency }) {
      const times = { fromTime: millisecondsOf(fromTime), toTime: millisecondsOf(toTime) };
      const scope = await scopeOf(accountId, userId);
      for await (const columns of scanPostings(db, { scope, ...times, currency })) yield columnsMessage(columns);
    },

    async *scanTransactions({ userId, boundariesMs, ...wanted }) {
      // For services alone, which see any user's in nobody's name; in a person's name they see what the person does.
      const owner = ownerOf(currentWho(), userId);
      const { currency, postings, amounts } = wanted;
      const filters = wanted.filters.map(({ atMost, atLeast, ...filter }) => ({ ...filter, atMost, atLeast }));
      const boundaries = boundariesMs.map(Number);
      const scan = scanTransactions(db, { userId: owner, boundaries, currency, postings, amounts, filters });
      for await (const { buckets, sums, counts, kind, ...group } of scan) {
        yield { ...group, kind: kindOf[kind], buckets: [...buckets], sums: [...sums], counts: [...counts] };
      }
    },

    async *exportStatement({ accountId, fromTime, toTime }) {
      const account = await visibleAccount(db, accountId);
      const from = millisecondsOf(fromTime) ?? account.createTime;
      const period = { accountId: account.id, fromTime: from, toTime: millisecondsOf(toTime) ?? clock() + 1 };
      yield csv(statementHead());
      for await (const lines of statementLines(db, period)) yield csv(statementPart(lines, account.currency));
    },

    async reserveFunds({ requestId, accountId, amount, currency, expireTime }) {
      const what = { accountId: accountId.toLowerCase(), amount, currency, expireTime: millisecondsOf(expireTime) };
      return heldBy(await submitForService({ type: "reserve", ...what }, requestId));
    },

    async captureHold({ requestId, holdId, amount, payeeAccountId, description, category }) {
      const payee = payeeAccountId === "" ? undefined : payeeAccountId.toLowerCase();
      const texts = { category: textOr(category, "payment"), description: description.toWellFormed() };
      const what = { holdId: holdId.toLowerCase(), amount, payeeAccountId: payee, ...texts };
      const outcome = await submitForService({ type: "capture", ...what }, requestId);
      return { ...recordedBy(outcome), ...heldBy(outcome) };
    },

    async releaseHold({ requestId, holdId }) {
      return heldBy(await submitForService({ type: "release", holdId: holdId.toLowerCase() }, requestId));
    },

    async refundCapture({ requestId, holdId, amount, description }) {
      const what = { holdId: holdId.toLowerCase(), amount, description: description.toWellFormed() };
      const outcome = await submitForService({ type: "refund", ...what }, requestId);
      return { ...recordedBy(outcome), ...heldBy(outcome) };
    },

    async getHold({ holdId }) {
      const found = await getHold(db, holdId.toLowerCase());
      if (found === undefined) throw notFound("hold", holdId);
      if (!mayActFor(currentWho(), found.userId)) throw notYours("hold", holdId);
      return { hold: holdMessage(found.hold) };
    },
  });
}

function recordedBy({ transaction }: Outcome) {
  if (transaction === undefined) throw internal(new Error("a command that records left no transaction"));
  return { transaction: transactionMessage(transaction) };
}

function heldBy({ hold }: Outcome) {
  if (hold === undefined) throw internal(new Error("a command about a hold left none"));
  return { hold: holdMessage(hold) };
}

function linesOf({ postings }: RecordEntryRequest): Line[] {
  return postings.map(({ accountId, amount }) => {
    return { to: accountId === "" ? { outside: "entry" } : { accountId: accountId.toLowerCase() }, amount };
  });
}

/** JSON can carry half a surrogate pair; it becomes U+FFFD, since it could not be stored. */
function textOr(text: string, fallback: string): string {
  return text === "" ? fallback : text.toWellFormed();
}

function csv(text: string) {
  return create(HttpBodySchema, { contentType: "text/csv; charset=utf-8", data: Buffer.from(text) });
}

function columnsMessage({ occurTimes, amounts, transactionIds, kinds, categories, currencies }: Columns) {
  const [byCategory, categoryIndexes] = dictionary(categories);
  const [byCurrency, currencyIndexes] = dictionary(currencies);
  return {
    occurTimesMs: [...occurTimes],
    amounts: [...amounts],
    kinds: kinds.map((kind) => kindOf[kind as keyof typeof kindOf]),
    categoryIndexes,
    currencyIndexes,
    transactionIds: new Uint8Array(transactionIds),
    categories: byCategory,
    currencies: byCurrency,
  };
}

/** The different texts, and where each text stands among them. */
function dictionary(texts: readonly string[]): [different: string[], indexes: number[]] {
  const places = new Map<string, number>();
  const indexes = texts.map((text) => {
    const place = places.get(text) ?? places.size;
    places.set(text, place);
    return place;
  });
  return [[...places.keys()], indexes];
}
