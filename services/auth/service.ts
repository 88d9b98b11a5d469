/** auth: users, sessions, tokens, second factors, API keys. */
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { startAuth } from "./auth.ts";
import { authSettings } from "./settings.ts";

/** Port 7001. Needs PostgreSQL; mails wait until the notification service is there. */
export const auth = defineService({
  name: "auth",
  port: 7001,
  contracts: [AuthService],
  settings: authSettings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, mesh, log, scope, clock, meshSecret }) {
    const { encryptionSecret, lockoutThreshold, addressThreshold, lockoutBaseMs: baseMs, ...settings } = config;
    const secret = encryptionSecret === "" ? meshSecret : encryptionSecret;
    const patience = { baseMs, maxMs: Math.max(baseMs, 3_600_000), forgetMs: Math.max(baseMs, 24 * 3_600_000) };
    const guard = {
      account: { ...patience, threshold: lockoutThreshold },
      address: { ...patience, threshold: addressThreshold },
    };
    const notification = mesh.client(NotificationService);
    const started = await startAuth({ ...settings, db, notification, log, clock, scope, secret, guard });
    const { implementation, verifier, recordRefusal } = started;
    return { implementations: [implementation], verifier, recordRefusal };
  },
});

if (import.meta.main) await runMain(auth);
