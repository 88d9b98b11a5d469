/** The keys that sign access tokens: kept in the database, rotated, the same in all instances. */
import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { type CryptoKey, calculateJwkThumbprint, importJWK } from "jose";
import { unavailable } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { type AccessToken, mintToken, type TokenSubject } from "./access-token.ts";
import { planKeys, type RotationPolicy } from "./key-rotation.ts";
import type { SecretBox } from "./secret-box.ts";
import {
  announceSigningKeys,
  deleteSigningKeys,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  type StoredKey,
  signingKeyChannel,
} from "./signing-key-store.ts";

/** A public key as it is published. */
export interface PublicKey {
  readonly kid: string;
  /** base64url. */
  readonly x: string;
}

/** What the keys are made from. */
export interface SigningKeysOptions {
  readonly db: Database;
  readonly box: SecretBox;
  readonly policy: RotationPolicy;
  readonly log: Logger;
  readonly clock: () => number;
}

interface LoadedKey extends StoredKey {
  readonly publicKey: CryptoKey;
  /** Undefined when it was sealed with another secret: it still verifies, but signs no more. */
  readonly privateKey: KeyObject | undefined;
}

/** Milliseconds between two looks at whether a rotation is due, and at most until another instance's change is seen. */
const maintainEveryMs = 60_000;
/** An unknown key id makes us look again at most so often, in milliseconds. */
const lookAgainMs = 1000;

/** Signs and finds keys from memory, so that both go on while the database is away. */
export class SigningKeys {
  readonly #options: SigningKeysOptions;
  #keys: readonly LoadedKey[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;

  private constructor(options: SigningKeysOptions) {
    this.#options = options;
  }

  /** Loads the keys, makes the first when there is none, and keeps them until `scope` ends. */
  static async open(options: SigningKeysOptions, scope: AsyncDisposableStack): Promise<SigningKeys> {
    const keys = new SigningKeys(options);
    const look = () =>
      void keys.maintain().catch((err: unknown) => options.log.warn({ err }, "cannot look after the signing keys"));
    scope.use(await options.db.listen(signingKeyChannel, look, look));
    await keys.maintain();
    const timer = setInterval(look, maintainEveryMs).unref();
    scope.defer(() => clearInterval(timer));
    return keys;
  }

  /** Signs a token for `subject` that lives `lifetimeMs`, or until `notAfter` when that is sooner. */
  async sign(subject: TokenSubject, lifetimeMs: number, notAfter = Number.POSITIVE_INFINITY): Promise<AccessToken> {
    const now = this.#options.clock();
    const usable = this.#keys.filter((key) => key.privateKey !== undefined);
    const signer = planKeys(usable, this.#options.policy, now).signer;
    if (signer?.privateKey === undefined) throw unavailable("there is no key to sign with yet", 1000);
    return mintToken({ kid: signer.kid, privateKey: signer.privateKey }, subject, now, Math.min(now + lifetimeMs, notAfter));
  }

  /** The public key `kid`, asking the database when it is new to us: another instance may just have made it. */
  async find(kid: string): Promise<CryptoKey | undefined> {
    const known = this.#find(kid);
    const now = this.#options.clock();
    if (known !== undefined || now - this.#lookedAt < lookAgainMs) return known;
    this.#lookedAt = now;
    await this.#load();
    return this.#find(kid);
  }

  /** All keys that tokens may carry: the one in use first, then the old ones, then the next one. */
  published(): PublicKey[] {
    const { published } = planKeys(this.#keys, this.#options.policy, this.#options.clock());
    return published.map(({ kid, x }) => ({ kid, x }));
  }

  /** Loads the keys, and makes and removes what is due. Instances that do so together take turns. */
  async maintain(): Promise<void> {
    await this.#load();
    const { db, policy, clock, log } = this.#options;
    const isDue = (keys: readonly LoadedKey[]) => {
      const usable = keys.filter((key) => key.privateKey !== undefined);
      const due = planKeys(usable, policy, clock()).createToStartAt;
      return { due, outdated: planKeys(keys, policy, clock()).outdated.map(({ kid }) => kid) };
    };
    const first = isDue(this.#keys);
    if (first.due === undefined && first.outdated.length === 0) return;
    const fresh = await newKeyPair();
    await db.transaction(async (tx) => {
      await lockSigningKeys(tx);
      const { due, outdated } = isDue(await this.#read(tx));
      if (due === undefined && outdated.length === 0) return;
      if (due !== undefined) {
        const secret = this.#options.box.seal("signing-key", fresh.kid, fresh.d);
        await insertSigningKey(tx, { kid: fresh.kid, x: fresh.x, secret, startTime: due });
        log.info({ kid: fresh.kid, startTime: new Date(due).toISOString() }, "made a signing key");
      }
      if (outdated.length > 0) await deleteSigningKeys(tx, outdated);
      await announceSigningKeys(tx);
    });
    await this.#load();
  }

  #find(kid: string): CryptoKey | undefined {
    const { published } = planKeys(this.#keys, this.#options.policy, this.#options.clock());
    return published.find((key) => key.kid === kid)?.publicKey;
  }

  async #load(): Promise<void> {
    this.#keys = await this.#read(this.#options.db);
  }

  async #read(q: Parameters<typeof listSigningKeys>[0]): Promise<LoadedKey[]> {
    const known = new Map(this.#keys.map((key) => [key.kid, key]));
    const rows = await listSigningKeys(q);
    return Promise.all(rows.map(async (row) => known.get(row.kid) ?? (await this.#open(row))));
  }

  async #open(row: StoredKey): Promise<LoadedKey> {
    const publicKey = await importJWK({ kty: "OKP", crv: "Ed25519", x: row.x }, "EdDSA");
    if (publicKey instanceof Uint8Array) throw new Error(`signing key ${row.kid} is no public key`);
    let privateKey: KeyObject | undefined;
    try {
      const d = this.#options.box.open("signing-key", row.kid, row.secret);
      privateKey = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", x: row.x, d }, format: "jwk" });
    } catch (err) {
      this.#options.log.error({ err, kid: row.kid }, "a signing key was sealed with another secret: it will not be used");
    }
    return { ...row, publicKey, privateKey };
  }
}

async function newKeyPair(): Promise<{ kid: string; x: string; d: string }> {
  const { privateKey } = await promisify(generateKeyPair)("ed25519");
  const { x, d } = privateKey.export({ format: "jwk" });
  if (x === undefined || d === undefined) throw new Error("an Ed25519 key without x or d");
  // RFC 7638: the id follows from the key, so no two keys share one.
  const kid = await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x });
  return { kid, x, d };
}
