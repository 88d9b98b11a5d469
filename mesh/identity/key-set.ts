/** auth's public keys, as far as this process knows them. */
import { setTimeout as sleep } from "node:timers/promises";
import { type CryptoKey, importJWK } from "jose";
import type { Jwk } from "#gen/auth/v1/credentials_pb.ts";
import { runWithoutContext } from "../context.ts";
import { unavailable } from "../errors.ts";
import type { Logger } from "../telemetry/log.ts";

/** Where the keys come from. */
export interface KeySetOptions {
  fetch(signal: AbortSignal): Promise<readonly Pick<Jwk, "kty" | "crv" | "x" | "kid">[]>;
  readonly log: Logger;
}

/** One request for the keys may take so long, in milliseconds; a call that needs them waits no longer. */
const fetchMs = 2000;
/** The very first request is repeated after so many milliseconds, as long as fetchMs allows. */
const firstRetryMs = 50;
/** An unknown key id asks again at most so often, in milliseconds, or anybody could make us hammer auth. */
const refetchMs = 5000;
/** Without any key every call fails, so it is tried sooner. */
const emptyRefetchMs = 500;
/** Keys older than this are fetched anew in the background, so that a withdrawn key stops counting. */
const maxAgeMs = 600_000;

/** Keys by id. An answer replaces them all; a failure leaves them as they are. */
export class KeySet {
  readonly #options: KeySetOptions;
  readonly #closed = new AbortController();
  #keys: ReadonlyMap<string, CryptoKey> = new Map();
  #askedAt = Number.NEGATIVE_INFINITY;
  #pending: Promise<void> | undefined;
  #tried = false;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /**
   * The key `kid`; undefined when auth does not publish it.
   *
   * @throws UNAVAILABLE while no key at all is known.
   */
  async find(kid: string, now: number): Promise<CryptoKey | undefined> {
    this.refreshWhenOld(now);
    if (!this.#keys.has(kid)) await this.#refresh(this.#keys.size === 0 ? emptyRefetchMs : refetchMs, now);
    if (this.#keys.size === 0) throw unavailable("the keys of auth are not known yet", 1000);
    return this.#keys.get(kid);
  }

  /** Fetches in the background when no key is known yet. */
  prefetch(now: number): void {
    if (this.#keys.size === 0) void this.#refresh(emptyRefetchMs, now);
  }

  /** Fetches in the background when the last answer is old. */
  refreshWhenOld(now: number): void {
    if (this.#keys.size > 0) void this.#refresh(maxAgeMs, now);
  }

  /** Ends a request that is under way. */
  close(): void {
    this.#closed.abort();
  }

  /** Settles when the request under way, or a new one if the last began `minAgeMs` ago, has ended, well or not. */
  #refresh(minAgeMs: number, now: number): Promise<void> {
    if (this.#pending !== undefined) return this.#pending;
    // now < askedAt: the clock was set back.
    if (now - this.#askedAt < minAgeMs && now >= this.#askedAt) return Promise.resolve();
    this.#askedAt = now;
    // Fetching is nobody's call: it must not run under the deadline or the principal of the one that caused it.
    this.#pending = runWithoutContext(() => this.#fetch()).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetch(): Promise<void> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), fetchMs).unref();
    const stop = () => timeout.abort();
    if (this.#closed.signal.aborted) stop();
    this.#closed.signal.addEventListener("abort", stop);
    const first = !this.#tried;
    this.#tried = true;
    try {
      for (;;) {
        try {
          this.#keys = await importKeys(await this.#options.fetch(timeout.signal));
          return;
        } catch (err) {
          if (!first || timeout.signal.aborted) throw err;
        }
        // The first call may come before this process has found auth in the registry, which takes moments.
        await sleep(firstRetryMs, undefined, { ref: false, signal: timeout.signal });
      }
    } catch (err) {
      if (!this.#closed.signal.aborted) this.#options.log.warn({ err, known: this.#keys.size }, "cannot fetch the keys of auth");
    } finally {
      clearTimeout(timer);
      this.#closed.signal.removeEventListener("abort", stop);
    }
  }
}

/** Keys of another kind than Ed25519 are left out: no user token is signed with them. */
async function importKeys(jwks: readonly Pick<Jwk, "kty" | "crv" | "x" | "kid">[]): Promise<ReadonlyMap<string, CryptoKey>> {
  const keys = new Map<string, CryptoKey>();
  for (const { kty, crv, x, kid } of jwks) {
    if (kty !== "OKP" || crv !== "Ed25519") continue;
    const key = await importJWK({ kty, crv, x }, "EdDSA");
    if (!(key instanceof Uint8Array)) keys.set(kid, key);
  }
  return keys;
}
