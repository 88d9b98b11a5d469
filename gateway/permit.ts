/** Steps 2 and 3 of a call, of whatever protocol: who calls, whether the contract lets them, and whether their rate does. */
import type { DescMethod } from "@bufbuild/protobuf";
import { AccessLevel, type AccessRule } from "#gen/heddle/v1/access_pb.ts";
import type { ServiceConfigSource } from "#mesh/client/service-configs.ts";
import { checkAccess } from "#mesh/identity/access.ts";
import { type Admission, rateGroup } from "./admit.ts";
import { type Authenticator, clientKey, type Identity } from "./authenticate.ts";
import type { Exchange } from "./exchange.ts";
import type { Call } from "./forward.ts";

/** What permission depends on. */
export interface PermitParts {
  readonly authenticator: Authenticator;
  readonly admission: Admission;
  readonly clock: () => number;
  readonly options: {
    /** True: methods without an access rule are open. */
    readonly openByDefault?: boolean;
    /** Knows the rates of methods that have their own. */
    readonly serviceConfigs: Pick<ServiceConfigSource, "methodConfig">;
  };
}

/** A method with the rule of who may call it. */
export interface Guarded {
  readonly method: DescMethod;
  readonly access: AccessRule | undefined;
}

/**
 * Permits a call, and puts the client's rate into the headers of the answer.
 *
 * @throws UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED; UNAVAILABLE when auth is needed and away.
 */
export async function permit(parts: PermitParts, exchange: Exchange, call: Call, { method, access }: Guarded): Promise<Identity> {
  const open = parts.options.openByDefault === true && access === undefined;
  const isPublic = open || access?.level === AccessLevel.PUBLIC;
  const who = await identified(parts, exchange, () => call.run(() => identify(parts.authenticator, exchange, isPublic)));
  if (!open) checkAccess(access, { principal: who.principal, caller: undefined });
  const contract = method.parent.typeName;
  const group = rateGroup(contract, method.name, parts.options.serviceConfigs.methodConfig(contract, method.name).rateLimit);
  Object.assign(exchange.headers, await parts.admission.rate(clientKey(who, exchange.client.address), group, parts.clock()));
  return who;
}

/** Notes who it is; refusals count against the rate of their address, so that keys and tokens cannot be tried at speed. */
export async function identified(
  { admission, clock }: Pick<PermitParts, "admission" | "clock">,
  exchange: Exchange,
  find: () => Promise<Identity>,
): Promise<Identity> {
  try {
    const who = await find();
    exchange.principal = who.principal?.id ?? "";
    exchange.sessionId = who.principal?.sessionId ?? "";
    return who;
  } catch (error) {
    await admission.rate(exchange.client.address, { name: "refused" }, clock());
    throw error;
  }
}

/** On a public method bad credentials are as good as none: signing in again must work with an old token in hand. */
async function identify(authenticator: Authenticator, exchange: Exchange, isPublic: boolean): Promise<Identity> {
  const identity = authenticator.identify(exchange.request.headers, exchange.receivedAt);
  return isPublic ? identity.catch(() => ({ principal: undefined, own: false })) : identity;
}
