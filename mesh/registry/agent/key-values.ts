/** The key-value store of the embedded agent. */
import type { ChangeIndex } from "./change-index.ts";

/** One key; the value's bytes in base64. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly flags: number;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** Keys in order. Topics: `kv:<key>` for one key, `kv` for all. */
export class KeyValues {
  readonly #entries: Map<string, KeyValue>;
  readonly #index: ChangeIndex;

  constructor(entries: readonly KeyValue[], index: ChangeIndex) {
    this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
    this.#index = index;
  }

  get(key: string): KeyValue | undefined {
    return this.#entries.get(key);
  }

  /** All keys that begin with `prefix`, in order of their bytes as far as ASCII goes. */
  under(prefix: string): KeyValue[] {
    const found = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Sets a key; with `cas` only if its ModifyIndex is that (0: only if it does not exist). Says whether it did. */
  put(key: string, value: string, flags: number, cas: number | undefined): boolean {
    const known = this.#entries.get(key);
    if (cas !== undefined && cas !== (known?.modifyIndex ?? 0)) return false;
    // Consul leaves the index alone when nothing changes, so watchers sleep on.
    if (known !== undefined && known.value === value && known.flags === flags) return true;
    const modifyIndex = this.#index.mark("kv", `kv:${key}`);
    this.#entries.set(key, { key, value, flags, createIndex: known?.createIndex ?? modifyIndex, modifyIndex });
    return true;
  }

  /** Deletes a key; with `cas` only if its ModifyIndex is that. Says whether it is gone now. */
  delete(key: string, cas: number | undefined): boolean {
    const known = this.#entries.get(key);
    if (known === undefined) return true;
    if (cas !== undefined && cas !== known.modifyIndex) return false;
    this.#entries.delete(key);
    this.#index.mark("kv", `kv:${key}`);
    return true;
  }

  /** Deletes every key that begins with `prefix`. */
  deleteUnder(prefix: string): void {
    const keys = this.under(prefix).map(({ key }) => key);
    for (const key of keys) this.#entries.delete(key);
    if (keys.length > 0) this.#index.mark("kv", ...keys.map((key) => `kv:${key}`));
  }

  all(): KeyValue[] {
    return [...this.#entries.values()];
  }
}
