/** Keys of Web Push: the service's own pair, and the check of a browser's. */
import { createECDH } from "node:crypto";
import webpush from "web-push";
import type { FieldViolation } from "#mesh/errors.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import type { VapidKeys } from "./push.ts";
import { keepSecret } from "./push-store.ts";

/** The given pair, or the stored one when none is given; a new one is made and stored on first use. */
export async function vapidKeys(db: Queryable, publicKey: string, privateKey: string): Promise<VapidKeys> {
  if (publicKey !== "" && privateKey !== "") return { publicKey, privateKey };
  const made = webpush.generateVAPIDKeys();
  const [storedPublic = "", storedPrivate = ""] = (await keepSecret(db, "vapid", `${made.publicKey} ${made.privateKey}`)).split(
    " ",
  );
  return { publicKey: storedPublic, privateKey: storedPrivate };
}

/** What is wrong with a browser's subscription: found now, since encrypting for it would fail at every attempt. Pure. */
export function subscriptionMistakes(endpoint: string, p256dh: string, auth: string, allowHttp: boolean): FieldViolation[] {
  const mistakes: FieldViolation[] = [];
  const scheme = URL.canParse(endpoint) ? new URL(endpoint).protocol : "";
  if (scheme !== "https:" && !(allowHttp && scheme === "http:")) {
    mistakes.push({ field: "endpoint", description: "expected an https URL" });
  }
  if (!isPublicKey(p256dh)) {
    mistakes.push({ field: "keys.p256dh", description: "expected an uncompressed P-256 public key, 65 bytes in base64url" });
  }
  if (decode(auth)?.length !== 16) mistakes.push({ field: "keys.auth", description: "expected 16 bytes in base64url" });
  return mistakes;
}

function isPublicKey(text: string): boolean {
  const key = decode(text);
  if (key?.length !== 65) return false;
  try {
    const own = createECDH("prime256v1");
    own.generateKeys();
    own.computeSecret(key); // throws for a point that is not on the curve
    return true;
  } catch {
    return false;
  }
}

function decode(text: string): Buffer | undefined {
  return /^[A-Za-z0-9_-]+={0,2}$/.test(text) ? Buffer.from(text, "base64url") : undefined;
}
