/** Records what happens in auth, with where it came from. */
import { currentContext } from "#mesh/context.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { type AuditEvent, type AuditQuery, insertAuditEvent, listAuditEvents } from "./audit-store.ts";

/** What happened; the rest is in the call's context. */
export interface AuditEntry {
  /** Noun and verb, for example "login.failed". */
  readonly action: string;
  readonly success: boolean;
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  /** Why not, where it was refused. */
  readonly reason?: string;
}

/** At most so many refusals a second that anybody could cause without credentials; the log must not be a way to fill the disk. */
const anonymousPerSecond = 20;

/** The audit log. */
export class AuditLog {
  readonly #clock: () => number;
  #second = 0;
  #inSecond = 0;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Adds an entry, in the same transaction as the thing itself. */
  async record(q: Queryable, entry: AuditEntry, requestId?: string): Promise<void> {
    const now = this.#clock();
    const context = currentContext();
    const event: AuditEvent = {
      id: uuidv7(now),
      createTime: now,
      action: entry.action,
      userId: entry.userId,
      success: entry.success,
      reason: clip(entry.reason ?? "", 500),
      ipAddress: clip(context?.client.address ?? "", 100),
      userAgent: clip(context?.client.userAgent ?? "", 500),
      correlationId: clip(context?.correlationId ?? "", 200),
      sessionId: entry.sessionId,
    };
    await insertAuditEvent(q, event, requestId);
  }

  /** The same for what costs nothing to cause; false when it was dropped, since there were too many in this second. */
  async recordBounded(q: Queryable, entry: AuditEntry, requestId?: string): Promise<boolean> {
    const second = Math.floor(this.#clock() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (++this.#inSecond > anonymousPerSecond) return false;
    await this.record(q, entry, requestId);
    return true;
  }

  /** Latest first. */
  list(q: Queryable, query: AuditQuery): Promise<AuditEvent[]> {
    return listAuditEvents(q, query);
  }
}

/** Headers come from outside: bounded, and without what PostgreSQL cannot store. */
function clip(text: string, length: number): string {
  return text.replaceAll("\0", "").slice(0, length);
}
