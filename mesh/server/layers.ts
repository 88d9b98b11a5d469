/** The inner layers of a call: error boundary, deadline, access rule, validation, context. server.ts lists them in order. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { AccessLevel, type AccessRule } from "#gen/heddle/v1/access_pb.ts";
import { runWithContext } from "../context.ts";
import { from } from "../errors.ts";
import { accessRuleOf, checkAccess } from "../identity/access.ts";
import { type Call, callKey } from "./call.ts";
import { mapStream } from "./stream.ts";
import { Validation } from "./validation.ts";

/** Makes a ConnectError of whatever comes up, once; the layers above see nothing else, and no cause is ever sent. */
export const errorBoundary: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    if (!response.stream) return response;
    const around = async <R>(step: () => Promise<R>): Promise<R> => {
      try {
        return await step();
      } catch (error) {
        throw from(error);
      }
    };
    return { ...response, message: mapStream(response.message, { around }) };
  } catch (error) {
    throw from(error);
  }
};

/** Answers as soon as the deadline passes or the caller leaves, whether or not the handler heeds its signal. */
export const holdDeadline: Interceptor = (next) => async (request) => {
  const call = request.contextValues.get(callKey);
  if (call === undefined) return next(request);
  const response = await untilAborted(call, () => next({ ...request, signal: call.signal }));
  if (!response.stream) return response;
  // The end of a stream must reach the handler's finally blocks, all the more after an abort.
  const around = <R>(step: () => Promise<R>, kind: "next" | "return") => (kind === "next" ? untilAborted(call, step) : step());
  return { ...response, message: mapStream(response.message, { around }) };
};

/** Runs the handler, and each step of its stream, inside the context of the call. */
export const withinContext: Interceptor = (next) => async (request) => {
  const context = request.contextValues.get(callKey)?.context;
  if (context === undefined) return next(request);
  const response = await runWithContext(context, () => next(request));
  if (!response.stream) return response;
  return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
};

/**
 * Enforces the access rules of the contracts, which are read here, once.
 *
 * @throws what checkAccess throws; before that, on a method that is not public, what was wrong with the bearer token.
 */
export function enforceAccess(services: readonly DescService[]): (call: Call) => void {
  const rules = new Map<DescMethod, AccessRule | undefined>();
  for (const method of services.flatMap((service) => service.methods)) rules.set(method, accessRuleOf(method));
  return (call) => {
    if (call.builtIn) return;
    const rule = rules.get(call.method);
    if (rule?.level !== AccessLevel.PUBLIC && call.tokenError !== undefined) throw call.tokenError;
    checkAccess(rule, { principal: call.context?.principal, caller: call.caller });
  };
}

/**
 * Holds every request message, also each one of a stream, to the rules of its contract (protovalidate).
 *
 * All rules are compiled here, so that a rule that cannot be stops the process at boot.
 *
 * @throws Error naming the message type whose rules do not compile.
 */
export function validateRequests(services: readonly DescService[]): Interceptor {
  const validation = new Validation();
  for (const { input } of services.flatMap((service) => service.methods)) validation.prepare(input);
  return (next) => (request) => {
    const schema = request.method.input;
    if (!request.stream) {
      validation.checked(schema, request.message);
      return next(request);
    }
    return next({ ...request, message: mapStream(request.message, { each: (message) => validation.checked(schema, message) }) });
  };
}

/** `step`, unless the call is aborted first: then the reason, and what the step comes to no longer matters. */
function untilAborted<R>(call: Call, step: () => Promise<R>): Promise<R> {
  const { signal } = call;
  if (signal.aborted) return Promise.reject(call.abortError);
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(call.abortError);
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = () => signal.removeEventListener("abort", onAbort);
    step().then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        // A handler that was told to stop often fails in a way of its own; the reason says more.
        reject(signal.aborted ? call.abortError : error);
      },
    );
  });
}
