import { openDatabase } from "#mesh/storage/database.ts";
import { seedAdmin } from "../../services/auth/seed-admin.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure, messageOf } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import { commandLog } from "./platform-registry.ts";

/**
 * `heddle admin`: gives a registered user the role `admin`, in auth's database itself, since the first one has nobody to ask.
 *
 * @throws Failure when no database is known, and when no user has the address.
 */
export async function admin(context: CommandContext, email: string): Promise<number> {
  const url = await authDatabaseUrl(context);
  try {
    await using db = await openDatabase({ url, service: "heddle-admin", poolSize: 1, log: commandLog(context) });
    context.out.write(`${await seedAdmin(db, email, Date.now())}\n`);
    return 0;
  } catch (error) {
    throw new Failure(messageOf(error), 1, error);
  }
}

/** AUTH_DATABASE_URL, else `heddle_auth` on the platform's server or on DATABASE_URL's. */
async function authDatabaseUrl({ env, folder }: CommandContext): Promise<string> {
  if (env.AUTH_DATABASE_URL) return env.AUTH_DATABASE_URL;
  const server = (await platformStatus(folder))?.postgres?.url ?? env.DATABASE_URL;
  if (server === undefined || !URL.canParse(server)) {
    throw new Failure("the platform is not running, and no DATABASE_URL names a server: start it with `heddle up`");
  }
  const url = new URL(server);
  url.pathname = "/heddle_auth";
  return url.href;
}
