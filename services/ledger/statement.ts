/** An account's statement as CSV (RFC 4180), a part at a time. */
import { stringify } from "csv-stringify/sync";
import { decimal } from "#mesh/currency.ts";
import type { StatementLine } from "./history-store.ts";

/** The columns, in order. */
const columns = ["recorded", "occurred", "transaction_id", "kind", "category", "description", "amount", "currency", "balance"];

/** The first line. */
export function statementHead(): string {
  return stringify([columns], { record_delimiter: "windows" });
}

/**
 * A line for each posting: times in ISO 8601, amounts as decimal numbers of the currency. Spreadsheets take a text that begins with
 * = + - @ for a formula, so free texts that do get an apostrophe in front (OWASP, CSV injection).
 */
export function statementPart(lines: readonly StatementLine[], currency: string): string {
  const rows = lines.map((line) => [
    line.createTime.toISOString(),
    line.occurTime.toISOString(),
    line.transactionId,
    line.kind,
    harmless(line.category),
    harmless(line.description),
    decimal(line.amount, currency),
    currency,
    decimal(line.balance, currency),
  ]);
  return stringify(rows, { record_delimiter: "windows" });
}

function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}
