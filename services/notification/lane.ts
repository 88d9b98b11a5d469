/** One channel's part of the sender: a loop that claims, and the attempts under way. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, type Delivery, failedBy } from "./channel.ts";
import type { ChannelName } from "./notification.ts";
import { type Outcome, outcomeOf, refusalOf } from "./retry-schedule.ts";
import type { SenderOptions } from "./sender.ts";
import { type Claimed, claimDue, giveUp, nextDue, recordAttempt } from "./store.ts";

/** The sender's options with all defaults in, and what is this lane's own. */
export interface LaneOptions extends Required<Omit<SenderOptions, "channels" | "meter">> {
  readonly name: ChannelName;
  /** Marks this process's claims. */
  readonly leaseId: string;
  readonly count: (outcome: "sent" | "retried" | "failed") => void;
}

/** How long the lane waits after an error of the database. */
const errorPauseMs = 1000;

/** The shortest wait: what is due and yet not ours is being claimed by another sender just now. */
const minPauseMs = 20;

/** A lane. start() once, stop() once. */
export class Lane {
  readonly #channel: Channel;
  readonly #options: LaneOptions;
  readonly #underWay = new Set<Promise<void>>();
  /** Aborts at stop(): no more claims. */
  readonly #stopping = new AbortController();
  /** Aborts when the grace of stop() is over: attempts are cut short. */
  readonly #cut = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #bell = Promise.withResolvers<void>();

  constructor(channel: Channel, options: LaneOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  start(): void {
    this.#loop = this.#run();
  }

  wake(): void {
    this.#bell.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#loop;
    const grace = setTimeout(() => this.#cut.abort(), this.#options.graceMs);
    await Promise.all(this.#underWay);
    clearTimeout(grace);
  }

  async #run(): Promise<void> {
    let failing = false;
    while (!this.#stopping.signal.aborted) {
      // Hung up before the look, so that a ring during it is heard.
      this.#bell = Promise.withResolvers();
      let waitMs: number;
      try {
        waitMs = await this.#look();
        failing = false;
      } catch (error) {
        const { log, name } = this.#options;
        if (!failing) log.warn({ err: error, channel: name }, "cannot look for notifications to send; trying again");
        failing = true;
        waitMs = errorPauseMs;
      }
      await this.#bellOr(waitMs);
    }
  }

  /** Begins as many attempts as there is room for. Answers with how long nothing more is to be done. */
  async #look(): Promise<number> {
    const { db, name, clock, concurrency, leaseMs, leaseId, pollMs } = this.#options;
    const limit = concurrency - this.#underWay.size;
    // The end of an attempt rings.
    if (limit <= 0) return pollMs;
    const claimed = await claimDue(db, { channel: name, limit, now: clock(), leaseMs, leaseId });
    for (const one of claimed) this.#begin(one);
    if (claimed.length === limit) return pollMs;
    const due = await nextDue(db, name);
    return due === undefined ? pollMs : Math.min(pollMs, Math.max(minPauseMs, due - clock()));
  }

  #begin(claimed: Claimed): void {
    const attempt = this.#attempt(claimed).finally(() => {
      this.#underWay.delete(attempt);
      this.wake();
    });
    this.#underWay.add(attempt);
  }

  async #attempt(claimed: Claimed): Promise<void> {
    const { db, policy, clock, random, log, name, count } = this.#options;
    const refusal = refusalOf(claimed, clock(), policy);
    if (refusal !== undefined) {
      count("failed");
      return this.#record(claimed, () => giveUp(db, claimed, refusal));
    }
    const delivery = await this.#send(claimed);
    const now = clock();
    const outcome: Outcome =
      !delivery.ok && this.#cut.signal.aborted
        ? { status: "pending", nextAttemptTime: now } // The next one to look may try at once.
        : outcomeOf(delivery, { attempt: claimed.attempt, expireTime: claimed.expireTime, now, random: random() }, policy);
    count(outcome.status === "pending" ? "retried" : outcome.status);
    const { ok: success, detail } = delivery;
    log.info({ notification: claimed.id, channel: name, attempt: claimed.attempt, outcome: outcome.status, detail }, "attempt");
    const failureReason = outcome.status === "failed" ? outcome.reason : "";
    const nextAttemptTime = outcome.status === "pending" ? outcome.nextAttemptTime : undefined;
    await this.#record(claimed, async () => {
      const ended = { success, detail, status: outcome.status, failureReason, now, nextAttemptTime };
      if (!(await recordAttempt(db, claimed, ended)))
        log.warn({ notification: claimed.id }, "the claim was lost during the attempt");
    });
  }

  /** One call of the channel, in half the lease: its end must be on record before anybody may claim again. */
  async #send(claimed: Claimed): Promise<Delivery> {
    const limit = new AbortController();
    const onCut = () => limit.abort(new Error("the service stopped during the attempt"));
    const timer = setTimeout(() => limit.abort(new Error("the attempt took too long")), this.#options.leaseMs / 2);
    this.#cut.signal.addEventListener("abort", onCut, { once: true });
    try {
      const delivery = await this.#channel.send(claimed, limit.signal);
      return limit.signal.aborted && !delivery.ok ? failedBy(limit.signal.reason) : delivery;
    } catch (error) {
      // A defect of ours, or the database, which push asks for subscriptions.
      this.#options.log.warn({ err: error, notification: claimed.id }, "the attempt failed");
      return failedBy(limit.signal.aborted ? limit.signal.reason : error);
    } finally {
      clearTimeout(timer);
      this.#cut.signal.removeEventListener("abort", onCut);
    }
  }

  /** Records until the database takes it: what has been sent must not be sent again. At the end of the process the lease decides. */
  async #record(claimed: Claimed, write: () => Promise<void>): Promise<void> {
    for (let failing = false; ; failing = true) {
      try {
        return await write();
      } catch (error) {
        const { log } = this.#options;
        if (!failing) log.warn({ err: error, notification: claimed.id }, "cannot record an attempt; trying again");
        if (this.#cut.signal.aborted) return;
        await sleep(errorPauseMs, undefined, { signal: this.#cut.signal }).catch(() => undefined);
      }
    }
  }

  async #bellOr(ms: number): Promise<void> {
    const { promise, resolve } = this.#bell;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }
}
