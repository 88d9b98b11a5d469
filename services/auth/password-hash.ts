/** Passwords to keep and to compare: argon2id (RFC 9106) in PHC form, a few at a time. */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { resourceExhausted } from "#mesh/errors.ts";

/** How much work one hash is. */
export interface HashCost {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** OWASP's recommendation for argon2id (Password Storage Cheat Sheet): 19 MiB, 2 passes, 1 lane; about 40 ms. */
export const standardCost: HashCost = { memory: 19_456, passes: 2, parallelism: 1 };

const derive = promisify(argon2);

/**
 * Hashes and verifies, at most `concurrency` at a time (default 2), so that a burst of sign-ins takes no more than 38 MiB and leaves
 * threads for everything else; `queueLimit` (default 200) more wait their turn.
 */
export class PasswordHasher {
  readonly #cost: HashCost;
  readonly #concurrency: number;
  readonly #queueLimit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #dummy: Promise<string> | undefined;

  constructor(options: { readonly cost?: HashCost; readonly concurrency?: number; readonly queueLimit?: number } = {}) {
    this.#cost = options.cost ?? standardCost;
    this.#concurrency = options.concurrency ?? 2;
    this.#queueLimit = options.queueLimit ?? 200;
  }

  /** The PHC string of `password`, with a salt of its own. @throws RESOURCE_EXHAUSTED when too many wait. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(16);
    const tag = await this.#derive(password, salt, this.#cost, 32);
    const { memory, passes, parallelism } = this.#cost;
    return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
  }

  /**
   * Whether `password` is the one of `hash`. Without a hash, for a user who does not exist, the answer is false after the same work.
   *
   * @throws RESOURCE_EXHAUSTED when too many wait.
   */
  async verify(password: string, hash: string | undefined): Promise<boolean> {
    this.#dummy ??= this.hash(randomBytes(16).toString("hex"));
    const stored = parse(hash ?? (await this.#dummy));
    const tag = await this.#derive(password, stored.salt, stored.cost, stored.tag.length);
    return timingSafeEqual(tag, stored.tag) && hash !== undefined;
  }

  /** Whether `hash` was made with less work than is due now. */
  isOutdated(hash: string): boolean {
    const { cost } = parse(hash);
    return cost.memory < this.#cost.memory || cost.passes < this.#cost.passes;
  }

  /** Makes the hash that stands in for unknown users, so that the first of them takes no longer than the rest. */
  async warmUp(): Promise<void> {
    await this.verify("", undefined);
  }

  async #derive(password: string, nonce: Buffer, cost: HashCost, tagLength: number): Promise<Buffer> {
    await this.#turn();
    try {
      // One text, one password, however the keyboard composed its accents (NIST SP 800-63B, 5.1.1.2).
      const message = Buffer.from(password.normalize("NFKC"));
      return await derive("argon2id", { message, nonce, tagLength, ...cost });
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#running < this.#concurrency) {
      this.#running++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#queueLimit) throw resourceExhausted("too many sign-ins at the same time", 1000);
    return new Promise((go) => this.#waiting.push(go));
  }
}

function parse(phc: string): { cost: HashCost; salt: Buffer; tag: Buffer } {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc);
  if (match === null) throw new Error("a stored password hash is not of argon2id in PHC form");
  const [, memory, passes, parallelism, salt = "", tag = ""] = match;
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  return { cost, salt: Buffer.from(salt, "base64"), tag: Buffer.from(tag, "base64") };
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
