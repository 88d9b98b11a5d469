/** Encryption of what must be read again: signing keys, TOTP secrets, mails that wait. AES-256-GCM, a key for each purpose. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

/** What is encrypted; each has a key of its own. */
export type Purpose = "signing-key" | "totp" | "mail";

/** Seals and opens texts with keys derived (HKDF-SHA256, RFC 5869) from one secret. */
export class SecretBox {
  readonly #secret: string;
  readonly #keys = new Map<Purpose, Buffer>();

  /** `secret`: at least 32 characters. */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** Nonce (12 bytes), ciphertext, tag (16). `owner` is bound to it: a text moved to another row does not open. */
  seal(purpose: Purpose, owner: string, text: string): Buffer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key(purpose), nonce).setAAD(Buffer.from(owner));
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws Error when it was sealed with another secret, for another owner, or changed since. */
  open(purpose: Purpose, owner: string, sealed: Buffer): string {
    const decipher = createDecipheriv("aes-256-gcm", this.#key(purpose), sealed.subarray(0, 12));
    decipher.setAAD(Buffer.from(owner)).setAuthTag(sealed.subarray(-16));
    return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString("utf8");
  }

  #key(purpose: Purpose): Buffer {
    const known = this.#keys.get(purpose);
    if (known !== undefined) return known;
    const key = Buffer.from(hkdfSync("sha256", this.#secret, "heddle auth", purpose, 32));
    this.#keys.set(purpose, key);
    return key;
  }
}
