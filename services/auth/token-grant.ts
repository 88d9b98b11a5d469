/** The OAuth 2 token endpoint: which fields each grant takes (RFC 6749, sections 4.3, 4.4 and 6). */
import type { TokenRequest } from "#gen/auth/v1/auth_pb.ts";
import { invalidArgument } from "#mesh/errors.ts";
import type { HandlerParts } from "./handlers.ts";
import type { SessionTokens } from "./sessions.ts";

/** Answers a token request. @throws INVALID_ARGUMENT naming every field that the grant needs and the request lacks. */
export async function grantToken(parts: HandlerParts, request: TokenRequest) {
  const { sessions, apiKeys, signIn, clock } = parts;
  switch (request.grantType) {
    case "password": {
      need({ username: request.username, password: request.password });
      const { username: email, password, mfaCode } = request;
      return tokens(await signIn({ email, password, mfaCode }), clock());
    }
    case "refresh_token":
      need({ refresh_token: request.refreshToken });
      return tokens(await sessions.refresh(request.refreshToken), clock());
    case "client_credentials": {
      need({ client_id: request.clientId, client_secret: request.clientSecret });
      const scopes = request.scope.split(" ").filter((scope) => scope !== "");
      const made = await apiKeys.exchange(request.clientSecret, { id: request.clientId, scopes });
      const expiresIn = secondsUntil(made.access.expireTime, clock());
      return { accessToken: made.access.token, tokenType: "Bearer", expiresIn, scope: made.scopes.join(" ") };
    }
    default:
      throw invalidArgument([{ field: "grant_type", description: "expected password, refresh_token or client_credentials" }]);
  }
}

/** The names of RFC 6749, section 5.1. */
export function tokens({ access, refreshToken }: SessionTokens, now: number) {
  return { accessToken: access.token, tokenType: "Bearer", expiresIn: secondsUntil(access.expireTime, now), refreshToken };
}

/** Whole seconds, never more than are left. */
function secondsUntil(time: number, now: number): number {
  return Math.max(0, Math.floor((time - now) / 1000));
}

function need(fields: Readonly<Record<string, string>>): void {
  const missing = Object.entries(fields).filter(([, value]) => value === "");
  if (missing.length === 0) return;
  throw invalidArgument(missing.map(([field]) => ({ field, description: "this grant needs it" })));
}
