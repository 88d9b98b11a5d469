/**
 * The messages of an ordered queue that one process holds: per key a line, of which only the first may be open. Pure.
 *
 *   waiting --take--> open --settle--> gone
 *      ^                |
 *      +----release-----+      (not before its due time; the line waits with it)
 */

/** A message in the window. */
export interface Entry<T> {
  readonly item: T;
  /** Entries without a key stand in a line of their own. */
  readonly key: string;
  /** Increases in the order of arrival. */
  readonly number: number;
  open: boolean;
  /** Not to be opened before, in milliseconds since the epoch. */
  dueTime: number;
}

/** A window. */
export class OrderedWindow<T> {
  readonly #lines = new Map<string, Entry<T>[]>();
  #count = 0;
  #arrived = 0;

  /** Adds a message at the end of its line. */
  add(item: T, key: string): Entry<T> {
    const number = this.#arrived++;
    const line = key === "" ? `#${number}` : `=${key}`;
    const entry: Entry<T> = { item, key: line, number, open: false, dueTime: 0 };
    const others = this.#lines.get(line);
    if (others === undefined) this.#lines.set(line, [entry]);
    else others.push(entry);
    this.#count += 1;
    return entry;
  }

  /** Opens up to `max` messages, those that arrived first. */
  take(max: number, now: number): Entry<T>[] {
    const heads = [...this.#lines.values()].flatMap(([head]) =>
      head !== undefined && !head.open && head.dueTime <= now ? head : [],
    );
    const chosen = heads.sort((a, b) => a.number - b.number).slice(0, max);
    for (const entry of chosen) entry.open = true;
    return chosen;
  }

  /** Removes a message that is done; its line moves on. */
  settle(entry: Entry<T>): void {
    const line = this.#lines.get(entry.key);
    const index = line?.indexOf(entry) ?? -1;
    if (line === undefined || index === -1) return;
    line.splice(index, 1);
    this.#count -= 1;
    if (line.length === 0) this.#lines.delete(entry.key);
  }

  /** Closes an open message; it stays the first of its line. */
  release(entry: Entry<T>, dueTime: number): void {
    entry.open = false;
    entry.dueTime = dueTime;
  }

  /** Removes all that is not open. */
  drain(): Entry<T>[] {
    const waiting = [...this.#lines.values()].flatMap((line) => line.filter(({ open }) => !open));
    for (const entry of waiting) this.settle(entry);
    return waiting;
  }

  /** How many are open. */
  get open(): number {
    return [...this.#lines.values()].reduce((sum, [head]) => sum + (head?.open === true ? 1 : 0), 0);
  }

  /** How many wait, and of those how many were given back for later. */
  waiting(now: number): { readonly ready: number; readonly later: number } {
    const later = [...this.#lines.values()].reduce(
      (sum, [head]) => sum + (head !== undefined && !head.open && head.dueTime > now ? 1 : 0),
      0,
    );
    return { ready: this.#count - this.open - later, later };
  }
}
