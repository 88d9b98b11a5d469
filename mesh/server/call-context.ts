/** The layer that reads a call's headers: deadline, who calls, correlation id, criticality, the outermost client. */
import { randomUUID } from "node:crypto";
import { type CallContext, type Criticality, type Principal, runWithContext } from "../context.ts";
import { deadlineExceeded, from, unauthenticated } from "../errors.ts";
import { callerHeader } from "../identity/caller.ts";
import type { TokenVerifier } from "../identity/tokens.ts";
import type { Logger } from "../telemetry/log.ts";
import { newTrace } from "../telemetry/trace.ts";
import type { Call } from "./call.ts";

/** What proves identities. */
export interface IdentityOptions {
  readonly verifier: TokenVerifier;
  readonly verifyCaller: (token: string, now: number) => Promise<Principal>;
  readonly log: Logger;
}

/**
 * Refuses a call whose deadline has passed, then makes its context.
 *
 * `x-heddle-*` headers are believed only together with a proof of the calling service that verifies. A bearer token that does
 * not verify yields no principal; the access rule, which comes next, refuses it unless the method is public.
 *
 * @throws DEADLINE_EXCEEDED.
 */
export function readContext(o: IdentityOptions): (call: Call) => Promise<void> {
  const callerOf = callerReader(o);
  return async (call) => {
    const now = Date.now();
    const remaining = call.handler.timeoutMs();
    if (remaining !== undefined && remaining <= 0) throw deadlineExceeded("the deadline had passed when the call came in");

    const headers = call.handler.requestHeader;
    const correlationId = correlationIdOf(headers);
    call.handler.responseHeader.set("x-correlation-id", correlationId);
    call.caller = call.builtIn ? undefined : await callerOf(call, headers, now);
    const context: CallContext = {
      deadline: remaining === undefined ? Number.POSITIVE_INFINITY : now + remaining,
      signal: call.signal,
      principal: undefined,
      caller: call.caller,
      trace: call.trace ?? newTrace(),
      correlationId,
      criticality: call.caller === undefined ? "CRITICAL" : criticalityOf(headers),
      client: clientOf(call, headers),
    };
    // A verifier that records what it refuses, as auth's does, needs to know where the call came from.
    const verify = () => principalOf(call, headers, now, o.verifier);
    call.context = call.builtIn ? context : { ...context, principal: await runWithContext(context, verify) };
  };
}

/** Ids that come from outside end up in logs and headers, so they are short and printable or replaced. */
const correlationIdPattern = /^[\w.:@/+=-]{1,128}$/;

function correlationIdOf(headers: Headers): string {
  const id = headers.get("x-correlation-id");
  return id !== null && correlationIdPattern.test(id) ? id : randomUUID();
}

/** Anybody can send a false proof, so that it is warned of at most so often, in milliseconds. */
const warnEveryMs = 10_000;

function callerReader({ verifyCaller, log }: IdentityOptions) {
  let warnedAt = Number.NEGATIVE_INFINITY;
  return async (call: Call, headers: Headers, now: number): Promise<Principal | undefined> => {
    const proof = headers.get(callerHeader);
    if (proof === null) return undefined;
    try {
      return await verifyCaller(proof, now);
    } catch (error) {
      call.callerError = from(error);
      if (now - warnedAt < warnEveryMs) return undefined;
      warnedAt = now;
      // Most likely two processes with different HEDDLE_MESH_SECRETs, which would otherwise be hard to see.
      log.warn(
        { error: call.callerError.rawMessage },
        "a calling service could not prove itself; its x-heddle-* headers are ignored",
      );
      return undefined;
    }
  };
}

async function principalOf(call: Call, headers: Headers, now: number, verifier: TokenVerifier): Promise<Principal | undefined> {
  const authorization = headers.get("authorization");
  if (authorization === null) return undefined;
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  try {
    if (token === undefined) throw unauthenticated("TOKEN_INVALID", "authorization: expected Bearer and a token");
    return await verifier.verify(token, now);
  } catch (error) {
    call.tokenError = from(error);
    return undefined;
  }
}

const criticalities: readonly Criticality[] = ["CRITICAL_PLUS", "CRITICAL", "SHEDDABLE_PLUS", "SHEDDABLE"];

function criticalityOf(headers: Headers): Criticality {
  const given = headers.get("x-heddle-criticality");
  return criticalities.find((one) => one === given) ?? "CRITICAL";
}

/** A call from outside the mesh has no proof of a service, so the peer itself is the outermost client. */
function clientOf(call: Call, headers: Headers): CallContext["client"] {
  if (call.caller === undefined) {
    const address = call.peer.address.replace(/:\d+$/, "");
    return { address, userAgent: headers.get("user-agent") ?? "" };
  }
  return {
    address: headers.get("x-heddle-client-address") ?? "",
    userAgent: headers.get("x-heddle-client-agent") ?? "",
  };
}
