/**
 * The one error type of Heddle: ConnectError, made by the named constructors below.
 *
 * The message is for the caller: it says what was expected and what came. The cause is for the log and is never sent.
 * Details are the messages of google/rpc/error_details.proto.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

/** One field of a request that was refused: its path in the message (`user.email`, `items[2].price`) and why. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** INVALID_ARGUMENT with a google.rpc.BadRequest that names every refused field. */
export function invalidArgument(violations: readonly FieldViolation[]): ConnectError {
  const message = violations
    .map(({ field, description }) => (field === "" ? description : `${field}: ${description}`))
    .join("; ");
  const fieldViolations = violations.map(({ field, description }) => ({ field, description }));
  return new ConnectError(message, Code.InvalidArgument, undefined, [{ desc: BadRequestSchema, value: { fieldViolations } }]);
}

/** UNAUTHENTICATED. `reason` is the machine-readable ErrorInfo reason, in UPPER_SNAKE_CASE, for example MFA_REQUIRED. */
export function unauthenticated(reason: string, message: string): ConnectError {
  return new ConnectError(message, Code.Unauthenticated, undefined, [errorInfo(reason)]);
}

/** PERMISSION_DENIED with an ErrorInfo reason. */
export function permissionDenied(reason: string, message: string): ConnectError {
  return new ConnectError(message, Code.PermissionDenied, undefined, [errorInfo(reason)]);
}

/** NOT_FOUND. Also the answer for a thing that exists but belongs to somebody else, so that ids cannot be probed. */
export function notFound(what: string, id: string): ConnectError {
  return new ConnectError(`${what} ${JSON.stringify(id)} does not exist`, Code.NotFound);
}

/** What the audit log is to know of a refusal, and the caller is not. */
export interface AuditNote {
  /** In UPPER_SNAKE_CASE. Makes a refusal of an error that does not look like one. */
  readonly reason?: string;
  /** Whose token it was. */
  readonly userId?: string;
  readonly sessionId?: string;
}

const notes = new WeakMap<ConnectError, AuditNote>();

/** `error` with a note for the audit log, which goes into no answer and no log line. */
export function noted(error: ConnectError, note: AuditNote): ConnectError {
  notes.set(error, note);
  return error;
}

/** The note of `error`, or undefined when it has none. */
export function auditNoteOf(error: ConnectError): AuditNote | undefined {
  return notes.get(error);
}

/** NOT_FOUND for a thing that exists but belongs to somebody else: the same answer, and a refusal to the audit log. */
export function notYours(what: string, id: string): ConnectError {
  return noted(notFound(what, id), { reason: "NOT_YOURS" });
}

/** ALREADY_EXISTS. */
export function alreadyExists(message: string): ConnectError {
  return new ConnectError(message, Code.AlreadyExists);
}

/** FAILED_PRECONDITION with an ErrorInfo reason: the call is right, the state is not. */
export function failedPrecondition(reason: string, message: string): ConnectError {
  return new ConnectError(message, Code.FailedPrecondition, undefined, [errorInfo(reason)]);
}

/** ABORTED: a conflict that a repeat of the whole call may settle. */
export function aborted(message: string, cause?: unknown): ConnectError {
  return new ConnectError(message, Code.Aborted, undefined, undefined, cause);
}

/** RESOURCE_EXHAUSTED. With RetryInfo: not before `retryAfterMs` milliseconds; without: the same call will never fit. */
export function resourceExhausted(message: string, retryAfterMs?: number): ConnectError {
  const details = retryAfterMs === undefined ? [] : [retryInfo(retryAfterMs)];
  return new ConnectError(message, Code.ResourceExhausted, undefined, details);
}

/** UNAVAILABLE. `retryAfterMs` milliseconds, when known, becomes RetryInfo and so the gateway's Retry-After. */
export function unavailable(message: string, retryAfterMs?: number, cause?: unknown): ConnectError {
  const details = retryAfterMs === undefined ? [] : [retryInfo(retryAfterMs)];
  return new ConnectError(message, Code.Unavailable, undefined, details, cause);
}

/** DEADLINE_EXCEEDED. */
export function deadlineExceeded(message = "the deadline of the call has passed"): ConnectError {
  return new ConnectError(message, Code.DeadlineExceeded);
}

/** CANCELLED: the caller went away. */
export function canceled(message = "the caller cancelled the call"): ConnectError {
  return new ConnectError(message, Code.Canceled);
}

/** UNIMPLEMENTED. */
export function unimplemented(message: string): ConnectError {
  return new ConnectError(message, Code.Unimplemented);
}

/** INTERNAL: a defect of ours. The caller learns nothing of `cause`; the log does. */
export function internal(cause: unknown): ConnectError {
  return new ConnectError("internal error", Code.Internal, undefined, undefined, cause);
}

/**
 * What a boundary makes of anything thrown: a ConnectError stays, an AbortError is CANCELLED, all else is INTERNAL with the
 * thrown value as cause. Call it once per boundary (a server's handler, a client's attempt, the gateway's reply).
 */
export function from(thrown: unknown): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  if (thrown instanceof Error && (thrown.name === "AbortError" || thrown.name === "TimeoutError")) {
    return thrown.name === "TimeoutError" ? deadlineExceeded() : canceled();
  }
  return internal(thrown);
}

/** Milliseconds that the error's RetryInfo asks to wait, or undefined when it has none. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

/** The reason of the error's ErrorInfo, or undefined when it has none. */
export function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}

function errorInfo(reason: string) {
  return { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: "heddle" }) };
}

function retryInfo(ms: number): { desc: typeof RetryInfoSchema; value: MessageInitShape<typeof RetryInfoSchema> } {
  const whole = Math.max(0, Math.floor(ms / 1000));
  return {
    desc: RetryInfoSchema,
    value: { retryDelay: { seconds: BigInt(whole), nanos: Math.round((ms - whole * 1000) * 1e6) } },
  };
}
