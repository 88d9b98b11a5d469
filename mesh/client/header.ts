/** What a call carries in its header besides the caller's own metadata. */
import { randomUUID } from "node:crypto";
import type { CallContext, Criticality, TraceContext } from "../context.ts";
import { addMetadata } from "../net/fields.ts";
import { formatTimeout } from "../net/timeout.ts";
import type { OutgoingFields } from "../net/wire.ts";
import { formatTraceparent } from "../telemetry/trace.ts";

/** What changes from attempt to attempt. */
export interface AttemptFields {
  /** Milliseconds left of the call; Infinity for no deadline. */
  readonly remainingMs: number;
  readonly trace: TraceContext;
  /** Proof of the calling service. */
  readonly callerToken: string;
  /** Attempts before this one that counted. */
  readonly previousAttempts: number;
}

/**
 * The fields that stay the same: the caller's metadata, who the call is for, its correlation id, criticality and outermost client.
 * The principal's token does not replace an `authorization` that the caller set on purpose.
 */
export function callFields(
  context: CallContext | undefined,
  metadata: Headers | undefined,
  criticality: Criticality | undefined,
): OutgoingFields {
  const fields: OutgoingFields = { "user-agent": "heddle-node/0.1.0" };
  const token = context?.principal?.token;
  if (token !== undefined && token !== "") fields.authorization = `Bearer ${token}`;
  if (metadata !== undefined) addMetadata(fields, metadata);
  fields["x-correlation-id"] = context?.correlationId ?? randomUUID();
  fields["x-heddle-criticality"] = criticality ?? context?.criticality ?? "CRITICAL";
  if (context !== undefined && context.client.address !== "") fields["x-heddle-client-address"] = context.client.address;
  if (context !== undefined && context.client.userAgent !== "") fields["x-heddle-client-agent"] = context.client.userAgent;
  return fields;
}

/** The header of one attempt. */
export function attemptFields(fields: OutgoingFields, attempt: AttemptFields): OutgoingFields {
  const all: OutgoingFields = {
    ...fields,
    traceparent: formatTraceparent(attempt.trace),
    "x-heddle-caller": attempt.callerToken,
  };
  const timeout = formatTimeout(attempt.remainingMs);
  if (timeout !== undefined) all["grpc-timeout"] = timeout;
  if (attempt.trace.state !== "") all.tracestate = attempt.trace.state;
  if (attempt.previousAttempts > 0) all["grpc-previous-rpc-attempts"] = String(attempt.previousAttempts);
  return all;
}
