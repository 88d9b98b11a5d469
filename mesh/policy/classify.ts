/**
 * What the end of an attempt means to each policy: one row per kind of outcome, so that retries, breakers, balancing and
 * throttling can never disagree about the same failure. Everything in here is about gRPC status codes, not about Connect's.
 */

/** How an attempt ended. Only `wire` looks at the status code; all others say themselves what happened. */
export type EndedBy =
  /** The server's status, or a stream that broke after the request had been sent (UNAVAILABLE then). */
  | "wire"
  /** The request never left this process, for example since the connection had gone before the stream was opened. */
  | "unsent"
  /** RST_STREAM with REFUSED_STREAM, or a GOAWAY whose last stream id is below this stream: the server did not look at it. */
  | "refused"
  /** No connection: refused, reset, timed out, or TLS did not come about. */
  | "connect"
  /** The deadline passed on this side. */
  | "deadline"
  /** One attempt took longer than the policy's perAttemptTimeoutMs while the call has time left. */
  | "attempt-timeout"
  /** The caller cancelled the call. */
  | "cancelled"
  /** We gave the attempt up ourselves, for example a hedge that lost. */
  | "abandoned"
  /** Refused here before anything was sent: breaker open, bulkhead full, throttled, expired before it started. */
  | "local";

/** The end of an attempt as the wire saw it. */
export interface AttemptEnd {
  readonly by: EndedBy;
  /** gRPC status code, 0 for OK; a number beyond the enum counts as UNKNOWN (2). Ignored unless `by` is `wire`. */
  readonly code: number;
  /** True when the caller had less time left than the method's own timeout; see isParentShort. Default false. */
  readonly parentShort?: boolean;
  /** True when the server marked a RESOURCE_EXHAUSTED as shed load, not as a quota of the caller. Default false. */
  readonly shed?: boolean;
}

/** The rows of the table. */
export type OutcomeKind =
  | "ok"
  | "unavailable"
  | "unsent"
  | "refused"
  | "connect-failure"
  | "deadline-own"
  | "deadline-parent"
  | "attempt-timeout"
  | "shed"
  | "application"
  | "server-fault"
  | "cancelled"
  | "abandoned"
  | "local";

/** What one kind of outcome means, policy by policy. */
export interface Outcome {
  readonly kind: OutcomeKind;
  /**
   * `never`; `listed`: when the policy lists the code; `policy`: by the policy, whatever the code; `free`: any number of times, does not count as an attempt; `free-once`:
   * the same, once per call; `next-endpoint`: does not count, another endpoint until the deadline; `if-told`: another
   * endpoint, only when the server sent a pushback.
   */
  readonly retry: "never" | "listed" | "policy" | "free" | "free-once" | "next-endpoint" | "if-told";
  /** What the service's breaker counts. `failure-if-all`: a failure only when no other endpoint could be reached either. */
  readonly serviceBreaker: "success" | "failure" | "slow-failure" | "failure-if-all" | "ignored";
  /** What the endpoint's breaker and its latency average count. */
  readonly endpoint: EndpointSignal;
  /** What the retry throttle's bucket gets (gRFC A6). `failure-if-listed`: -1 only when the policy lists the code. */
  readonly token: "success" | "failure" | "failure-if-listed" | "none";
}

/**
 * What an endpoint learns from an attempt: `slow` is a latency sample and no verdict, `load` says that it is busy, `drain` that its
 * connection takes no new streams, `connect-failure` that it is to be left alone for a backoff.
 */
export type EndpointSignal = "success" | "failure" | "connect-failure" | "slow" | "load" | "drain" | "ignored";

/** The row for the end of an attempt. Total: every `by` and every number has one. */
export function classify(end: AttemptEnd): Outcome {
  return outcomes[kindOf(end)];
}

/**
 * Whether a deadline that passed says nothing about the server: the caller came with less time (`remainingMs`, Infinity for no
 * deadline) than the method's own timeout. A method without a timeout takes the caller's deadline as its own.
 */
export function isParentShort(remainingMs: number, timeoutMs: number | undefined): boolean {
  return timeoutMs !== undefined && remainingMs < timeoutMs;
}

/** The table of mesh.md, "Which outcome counts where". */
export const outcomes: Readonly<Record<OutcomeKind, Outcome>> = {
  ok: row("ok", "never", "success", "success", "success"),
  unavailable: row("unavailable", "listed", "failure", "failure", "failure"),
  unsent: row("unsent", "free", "ignored", "drain", "none"),
  refused: row("refused", "free-once", "ignored", "drain", "none"),
  "connect-failure": row("connect-failure", "next-endpoint", "failure-if-all", "connect-failure", "none"),
  "deadline-own": row("deadline-own", "never", "slow-failure", "slow", "failure-if-listed"),
  "deadline-parent": row("deadline-parent", "never", "ignored", "ignored", "none"),
  "attempt-timeout": row("attempt-timeout", "policy", "slow-failure", "slow", "failure"),
  shed: row("shed", "if-told", "ignored", "load", "failure"),
  application: row("application", "listed", "success", "success", "failure-if-listed"),
  "server-fault": row("server-fault", "listed", "failure", "failure", "failure-if-listed"),
  cancelled: row("cancelled", "never", "success", "success", "none"),
  abandoned: row("abandoned", "never", "ignored", "ignored", "none"),
  local: row("local", "never", "ignored", "ignored", "none"),
};

function row(
  kind: OutcomeKind,
  retry: Outcome["retry"],
  serviceBreaker: Outcome["serviceBreaker"],
  endpoint: EndpointSignal,
  token: Outcome["token"],
): Outcome {
  return { kind, retry, serviceBreaker, endpoint, token };
}

function kindOf(end: AttemptEnd): OutcomeKind {
  if (end.by === "deadline") return deadlineKind(end);
  if (end.by !== "wire") return kindByEnd[end.by];
  // RESOURCE_EXHAUSTED is the caller's quota unless the server says that it was too busy.
  if (end.code === 8 && end.shed === true) return "shed";
  if (end.code === 4) return deadlineKind(end);
  // The gRPC status spec: a code outside the enum is to be read as UNKNOWN.
  return kindByCode[end.code] ?? "server-fault";
}

function deadlineKind(end: AttemptEnd): OutcomeKind {
  return end.parentShort === true ? "deadline-parent" : "deadline-own";
}

const kindByEnd: Readonly<Record<Exclude<EndedBy, "wire" | "deadline">, OutcomeKind>> = {
  unsent: "unsent",
  refused: "refused",
  connect: "connect-failure",
  "attempt-timeout": "attempt-timeout",
  cancelled: "cancelled",
  abandoned: "abandoned",
  local: "local",
};

/** By gRPC status code. 4 and the shed half of 8 are decided above. */
const kindByCode: Readonly<Record<number, OutcomeKind>> = {
  0: "ok", // OK
  1: "application", // CANCELLED by the server: an answer like any other
  2: "server-fault", // UNKNOWN
  3: "application", // INVALID_ARGUMENT
  5: "application", // NOT_FOUND
  6: "application", // ALREADY_EXISTS
  7: "application", // PERMISSION_DENIED
  8: "application", // RESOURCE_EXHAUSTED without the shed mark
  9: "application", // FAILED_PRECONDITION
  10: "application", // ABORTED
  11: "application", // OUT_OF_RANGE
  12: "application", // UNIMPLEMENTED
  13: "server-fault", // INTERNAL
  14: "unavailable", // UNAVAILABLE
  15: "server-fault", // DATA_LOSS
  16: "application", // UNAUTHENTICATED
};
