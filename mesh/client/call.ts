/**
 * One call through the mesh, as one loop: deadline -> service breaker -> { pick -> send -> classify -> retry or leave }.
 *
 * The deadline is absolute and spans all attempts and waits. What decides are pure functions of mesh/policy, asked here in order.
 * The service breaker counts calls, an endpoint's breaker counts attempts.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { type CallContext, currentContext, remainingMs } from "../context.ts";
import { deadlineExceeded, from, unavailable } from "../errors.ts";
import type { OutgoingFields } from "../net/wire.ts";
import { admit, type Permit } from "../policy/breaker.ts";
import { classify, isParentShort, type Outcome, outcomes } from "../policy/classify.ts";
import { decideRetry, firstAttempt, type Pushback, retryPolicyOf } from "../policy/retry.ts";
import { newTrace } from "../telemetry/trace.ts";
import { Attempt, type AttemptEnd } from "./attempt.ts";
import { type AttemptReport, CallReport, pushbackOf } from "./call-report.ts";
import type { CallParts, CallRequest } from "./call-request.ts";
import { CallScope } from "./call-scope.ts";
import { Pick } from "./endpoint.ts";
import { type Lack, lackError, type ServiceEndpoints } from "./endpoints.ts";
import { chargeThrottle } from "./guards.ts";
import { attemptFields, callFields } from "./header.ts";
import { RequestMessages } from "./request.ts";

/** Bytes of one response message when the service config sets no limit: gRPC's default. */
const defaultMaxResponseBytes = 4 << 20;
/** Bytes of request messages that are kept for another attempt. */
const replayLimit = 256 * 1024;
/** Connections that may vanish under a call before it stops to try again at once. */
const maxUnsent = 5;
/** Milliseconds after which a call looks again for what it waits for, although nothing was told. */
const lookAgainMs = 1000;

/**
 * Makes the call. Settles when a unary call is over, or when a stream's response headers came; its messages follow.
 *
 * @throws ConnectError: the server's status, or UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED found on this side.
 */
export function runCall(parts: CallParts, request: CallRequest): Promise<Attempt> {
  return new Call(parts, request).run();
}

class Call {
  readonly #parts: CallParts;
  readonly #request: CallRequest;
  readonly #contract: string;
  readonly #unary: boolean;
  readonly #idempotent: boolean;
  readonly #context: CallContext | undefined = currentContext();
  readonly #config;
  readonly #policy;
  readonly #throttle;
  readonly #scope: CallScope;
  readonly #parentShort: boolean;
  readonly #fields: OutgoingFields;
  readonly #report: CallReport;
  readonly #tried = new Set<string>();
  #messages: RequestMessages | undefined;
  #attempt: Attempt | undefined;
  #permit: Permit | undefined;
  #retry = firstAttempt;
  #unsent = 0;
  #lastFailure: ConnectError | undefined;
  #requestError: ConnectError | undefined;

  constructor(parts: CallParts, request: CallRequest) {
    const { method } = request;
    const context = this.#context;
    this.#parts = parts;
    this.#request = request;
    this.#contract = method.parent.typeName;
    this.#unary = method.methodKind === "unary";
    this.#config = parts.serviceConfigs.methodConfig(this.#contract, method.name);
    const { timeoutMs, criticality, retry } = this.#config;
    this.#idempotent = method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
    this.#policy = retryPolicyOf(retry, this.#idempotent);
    const { version, retryThrottling } = parts.serviceConfigs.serviceConfig(this.#contract);
    this.#throttle = parts.guards.throttle(this.#contract, retryThrottling);
    const now = parts.clock();
    const asked = request.timeoutMs !== undefined && request.timeoutMs > 0 ? request.timeoutMs : Number.POSITIVE_INFINITY;
    const givenMs = Math.min(asked, remainingMs(context, now));
    this.#parentShort = isParentShort(givenMs, timeoutMs);
    const deadline = now + Math.min(givenMs, timeoutMs ?? Number.POSITIVE_INFINITY);
    this.#scope = new CallScope(deadline, [request.signal, context?.signal], parts.clock);
    this.#fields = callFields(context, request.metadata, criticality);
    const { instruments, log } = parts;
    const parent = context?.trace ?? newTrace();
    this.#report = new CallReport({ method: `${this.#contract}/${method.name}`, parent, instruments, log });
    this.#report.configVersion = version;
  }

  async run(): Promise<Attempt> {
    try {
      const message = this.#prepareInput();
      for (;;) {
        // A call that is over sends nothing: neither its first attempt nor another.
        this.#throwIfStopped();
        const callerToken = await this.#parts.caller.current(this.#parts.clock());
        const lookup = this.#parts.directory.lookup(this.#contract);
        if (lookup.service === undefined && lookup.pending) {
          await this.#scope.wait(lookAgainMs, this.#parts.directory.subscribe);
          continue;
        }
        const { service } = lookup;
        this.#permit ??= this.#admit(service);
        const pick = this.#pick(service);
        if (!(pick instanceof Pick)) {
          await this.#withoutEndpoint(service, pick);
          continue;
        }
        this.#throwIfStopped(pick);
        const report = this.#report.attempt(pick.endpoint.id);
        const attempt = this.#send(pick, message, callerToken, report);
        await attempt.decided;
        if (!this.#unary && attempt.answered) return this.#opened(attempt, pick, report);
        this.#scope.onStop = undefined;
        this.#messages?.detach();
        const end = attempt.end ?? neverEnded;
        const outcome = this.#settle(end, pick, report, attempt);
        if (end.error !== undefined) {
          await this.#retryOrThrow(end, outcome, pushbackOf(end, attempt.trailer));
          continue;
        }
        this.#close(undefined, outcome.serviceBreaker);
        return attempt;
      }
    } catch (thrown) {
      const error = from(thrown);
      this.#close(error, "ignored");
      throw error;
    }
  }

  /** Encodes before anything is sent, so that a bad message leaves no half call behind. */
  #prepareInput(): Uint8Array | undefined {
    const { input, encode } = this.#request;
    const { maxRequestBytes } = this.#config;
    if ("message" in input) return encode(input.message, maxRequestBytes);
    this.#messages = new RequestMessages(input.messages, {
      encode: (message) => encode(message, maxRequestBytes),
      replayLimit,
      onOverflow: () => this.#report.overflow(replayLimit),
      onError: (error) => {
        this.#requestError = from(error);
        this.#attempt?.stop("abandoned", this.#requestError);
      },
    });
    return undefined;
  }

  #throwIfStopped(pick?: Pick): void {
    const error = this.#scope.stopped?.error ?? this.#requestError;
    if (error === undefined) return;
    pick?.done("ignored", this.#parts.clock());
    throw error;
  }

  /** Asks the service's breaker, once per call: a retry belongs to the call that was let in. */
  #admit(service: ServiceEndpoints | undefined): Permit {
    const { guards, clock } = this.#parts;
    const [name, now] = [service?.name ?? this.#contract, clock()];
    this.#report.target = name;
    const admission = admit(guards.breaker(name, this.#config, this.#contract), now);
    guards.budget(name).call(now);
    if (admission.admitted) return admission;
    this.#report.note(`breaker ${admission.state}`);
    const waitMs = admission.openUntil === Number.POSITIVE_INFINITY ? undefined : Math.max(0, admission.openUntil - now);
    throw unavailable(`${name} is failing, and calls to it are paused`, waitMs);
  }

  #pick(service: ServiceEndpoints | undefined): Pick | Lack {
    if (service === undefined) return { kind: "empty", until: undefined };
    const { balancer, breaker } = this.#parts.serviceConfigs.serviceConfig(this.#contract);
    service.configure(balancer, breaker);
    return service.pick(this.#parts.clock(), this.#tried);
  }

  /** No endpoint can be picked: waits when the method waits for ready, else asks the retry policy as for any UNAVAILABLE. */
  async #withoutEndpoint(service: ServiceEndpoints | undefined, lack: Lack): Promise<void> {
    const now = this.#parts.clock();
    const waitMs = lack.until === undefined ? undefined : Math.max(1, lack.until - now);
    const error = lackError(service?.name, this.#contract, lack, waitMs, this.#lastFailure);
    this.#report.note(error.rawMessage);
    if (lack.kind === "breakers") throw error;
    if (this.#config.waitForReady) {
      const subscribe = service?.subscribe ?? this.#parts.directory.subscribe;
      return this.#scope.wait(Math.min(waitMs ?? lookAgainMs, lookAgainMs), subscribe);
    }
    await this.#retryOrThrow({ by: "connect", error, committed: false }, unreachable, { kind: "none" });
  }

  #send(pick: Pick, message: Uint8Array | undefined, callerToken: string, report: AttemptReport): Attempt {
    this.#tried.add(pick.endpoint.id);
    const previousAttempts = this.#retry.attempts - 1;
    const remaining = this.#scope.remaining();
    const attempt = new Attempt(pick.endpoint.connection, {
      path: `/${this.#contract}/${this.#request.method.name}`,
      header: attemptFields(this.#fields, { remainingMs: remaining, trace: report.trace, callerToken, previousAttempts }),
      message,
      maxResponseBytes: this.#config.maxResponseBytes ?? defaultMaxResponseBytes,
      unary: this.#unary,
      idempotent: this.#idempotent,
      timeoutMs: this.#policy?.perAttemptTimeoutMs,
      onDrain: () => this.#messages?.drained(),
    });
    this.#attempt = attempt;
    this.#scope.onStop = ({ by, error }) => {
      // Silence up to the deadline may mean a dead peer: a ping tells, so that the next call need not find out.
      if (by === "deadline" && !attempt.answered) pick.endpoint.connection.probe();
      attempt.stop(by, error);
    };
    this.#messages?.attach(attempt.call);
    return attempt;
  }

  /** The table's row for an attempt that ended, told to all whom it concerns but the service's breaker, which counts calls. */
  #settle(end: AttemptEnd, pick: Pick, report: AttemptReport, attempt: Attempt): Outcome {
    const code = end.error?.code ?? 0;
    // A server gives up at the deadline that we told it, a moment before our own timer.
    const expired = end.by === "wire" && code === Code.Canceled && this.#scope.remaining() <= 0;
    const by = expired ? "deadline" : end.by;
    const vanishing = by === "unsent" && ++this.#unsent > maxUnsent;
    const outcome = vanishing ? unreachable : classify({ by, code, parentShort: this.#parentShort });
    pick.done(outcome.endpoint, this.#parts.clock());
    report.end(code, end.error?.rawMessage ?? "");
    const listed = this.#policy?.retryableCodes.has(code) === true;
    chargeThrottle(this.#throttle, outcome.token, listed, pushbackOf(end, attempt.trailer));
    return outcome;
  }

  /** Waits for the next attempt, or throws the call's error. */
  async #retryOrThrow(end: AttemptEnd, outcome: Outcome, pushback: Pushback): Promise<void> {
    // A server that gives up by itself may say more than we could: its message and details stay.
    const expired = outcome.kind.startsWith("deadline-") && end.error?.code !== Code.DeadlineExceeded;
    const error = expired ? deadlineExceeded() : (end.error ?? unavailable("the call ended without a status"));
    if (outcome.kind === "connect-failure" && outcome.retry === "next-endpoint") {
      // At once: the endpoint is in its backoff now, so the next pick finds another one or none.
      this.#lastFailure = error;
      return;
    }
    const { clock, guards, random } = this.#parts;
    const budget = guards.budget(this.#report.target);
    const decision = decideRetry({
      policy: this.#policy,
      state: this.#retry,
      outcome,
      code: error.code,
      pushback,
      committed: end.committed || this.#messages?.replayable === false,
      throttleAllows: this.#throttle.allows(),
      budgetAllows: budget.allows(clock()),
      remainingMs: this.#scope.remaining(),
      random: random(),
    });
    const lost = this.#messages?.dropped === true || this.#requestError !== undefined;
    if (!decision.retry || lost) {
      if (!decision.retry && outcome.retry !== "never") this.#report.note(`not retried: ${decision.reason}`);
      this.#close(error, outcome.serviceBreaker);
      throw error;
    }
    if (decision.counts) budget.take(clock());
    this.#retry = decision.state;
    this.#report.retry(decision.delayMs, decision.counts);
    if (decision.delayMs > 0) await this.#scope.wait(decision.delayMs);
  }

  /** Response headers came: from now on the stream's reader decides how long the call lasts. */
  #opened(attempt: Attempt, pick: Pick, report: AttemptReport): Attempt {
    const now = this.#parts.clock();
    pick.answered(now);
    this.#permit?.settle("success", now);
    this.#messages?.commit();
    // Bound to this call's context, since it will be called from an event of the wire.
    const whenEnded = AsyncLocalStorage.bind((end: AttemptEnd) => {
      this.#settle(end, pick, report, attempt);
      this.#close(end.error, "ignored");
    });
    if (attempt.end === undefined) attempt.whenEnded = whenEnded;
    else whenEnded(attempt.end);
    return attempt;
  }

  /** Everything that a call must leave behind. Safe to repeat. */
  #close(error: ConnectError | undefined, breaker: Outcome["serviceBreaker"]): void {
    // `failure-if-all` gets here only when no other endpoint was left.
    this.#permit?.settle(breaker === "failure-if-all" ? "failure" : breaker, this.#parts.clock());
    this.#messages?.close();
    this.#scope.close();
    this.#report.end(error);
  }
}

/** Nobody could be reached: an UNAVAILABLE like any other to the retry policy, with its delays. */
const unreachable: Outcome = { ...outcomes["connect-failure"], retry: "listed" };

/** Attempt.decided settles at the end of a unary attempt: its end is always known then. */
const neverEnded: AttemptEnd = { by: "local", error: undefined, committed: false };
