/** Who may call a method: the option (heddle.v1.access) of the contract, decided here for the gateway and every service. */
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { AccessLevel, type AccessRule, access } from "#gen/heddle/v1/access_pb.ts";
import type { Principal } from "../context.ts";
import { permissionDenied, unauthenticated } from "../errors.ts";

/** The rule of `method`, or undefined when the contract states none. Reads the descriptor: keep the answer, per method. */
export function accessRuleOf(method: DescMethod): AccessRule | undefined {
  return hasOption(method, access) ? getOption(method, access) : undefined;
}

/** Who makes a call: the person or API key in whose name it is made, and the service that made it, each when proved. */
export interface Caller {
  readonly principal: Principal | undefined;
  readonly caller: Principal | undefined;
}

/** The service that speaks for the outside world. Alone, without a principal, it stands for nobody. */
const gateway = "gateway";

/**
 * Lets the call in, or throws.
 *
 * A principal, when there is one, decides alone: a service that acts for a person may do what the person may, no more. Only
 * ACCESS_LEVEL_SERVICE looks at the calling service. Scopes limit API keys and nobody else; a key without scopes is unlimited.
 *
 * @throws UNAUTHENTICATED (SIGN_IN_REQUIRED, CALLER_REQUIRED) when nobody has proved who they are;
 *   PERMISSION_DENIED (NO_ACCESS_RULE, SERVICE_ONLY, ROLE_REQUIRED, SCOPE_REQUIRED, SESSION_REQUIRED) when it is known who calls.
 */
export function checkAccess(rule: AccessRule | undefined, who: Caller): void {
  switch (rule?.level) {
    case AccessLevel.PUBLIC:
      return;
    case AccessLevel.SERVICE:
      checkService(who);
      return;
    case AccessLevel.AUTHENTICATED:
    case AccessLevel.ROLE:
      checkPrincipal(rule, who);
      return;
    default:
      throw permissionDenied("NO_ACCESS_RULE", "the contract lets nobody call this method");
  }
}

/** Whether `held` grants `needed`. Both are split at colons; `*` stands for one part, and alone for everything. */
export function scopeGrants(held: string, needed: string): boolean {
  if (held === "*") return true;
  const have = held.split(":");
  const need = needed.split(":");
  return have.length === need.length && have.every((part, index) => part === "*" || part === need[index]);
}

function checkService({ principal, caller }: Caller): void {
  if (caller !== undefined) return;
  if (principal === undefined) throw unauthenticated("CALLER_REQUIRED", "only services of the mesh may call this method");
  throw permissionDenied("SERVICE_ONLY", "only services of the mesh may call this method");
}

function checkPrincipal(rule: AccessRule, { principal, caller }: Caller): void {
  if (principal === undefined) {
    const forItself = caller !== undefined && caller.id !== gateway;
    if (forItself && !rule.sessionOnly) return;
    throw unauthenticated("SIGN_IN_REQUIRED", "sign in to call this method");
  }
  if (principal.kind === "api-key") checkApiKey(rule, principal);
  if (rule.level === AccessLevel.ROLE && (rule.role === "" || !principal.roles.includes(rule.role))) {
    throw permissionDenied("ROLE_REQUIRED", `this method needs the role ${JSON.stringify(rule.role)}`);
  }
}

function checkApiKey(rule: AccessRule, key: Principal): void {
  if (rule.sessionOnly) throw permissionDenied("SESSION_REQUIRED", "this method takes a signed-in person, not an API key");
  if (rule.scope === "" || key.scopes.length === 0 || key.scopes.some((scope) => scopeGrants(scope, rule.scope))) return;
  throw permissionDenied("SCOPE_REQUIRED", `this method needs an API key with the scope ${JSON.stringify(rule.scope)}`);
}
