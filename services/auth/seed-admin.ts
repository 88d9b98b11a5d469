/**
 * Makes a registered user an administrator: `node services/auth/seed-admin.ts ada@example.com`.
 *
 * Works on the database itself (AUTH_DATABASE_URL, or `heddle_auth` on DATABASE_URL), since the first administrator has nobody to ask.
 * The role is in the user's next access token.
 */
import { pino } from "pino";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { AuditLog } from "./audit.ts";
import { emailKey } from "./user.ts";
import { addRole, findAccountByEmail } from "./user-store.ts";

/** Answers with a sentence that says what was done. @throws Error with one when there is no such user. */
export async function seedAdmin(db: Database, email: string, now: number): Promise<string> {
  const account = await findAccountByEmail(db, emailKey(email));
  if (account === undefined) throw new Error(`no user has the address ${email}: register first`);
  const { id } = account.user;
  const granted = await db.transaction(async (tx) => {
    const fresh = await addRole(tx, id, "admin", now);
    if (fresh) {
      const entry = { action: "role.granted", success: true, userId: id, reason: "admin, by seed-admin" };
      await new AuditLog(() => now).record(tx, entry);
    }
    return fresh;
  });
  return granted ? `${email} is an administrator from the next sign-in or refresh on` : `${email} is an administrator already`;
}

async function main(): Promise<void> {
  const [email] = process.argv.slice(2);
  if (email === undefined) throw new Error("usage: node services/auth/seed-admin.ts <email>");
  const log = pino({ level: "silent" });
  await using db = await openDatabase({ url: databaseUrl(), service: "seed-admin", log });
  await migrate(db, new URL("./migrations/", import.meta.url), log);
  process.stdout.write(`${await seedAdmin(db, email, Date.now())}\n`);
}

function databaseUrl(): string {
  const { AUTH_DATABASE_URL: exact, DATABASE_URL: server } = process.env;
  if (exact !== undefined && exact !== "") return exact;
  if (server === undefined || !URL.canParse(server)) throw new Error("DATABASE_URL: expected a postgres:// URL, got nothing");
  const url = new URL(server);
  url.pathname = "/heddle_auth";
  return url.href;
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
