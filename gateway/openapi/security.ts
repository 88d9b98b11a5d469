/** Who may call an operation, as OpenAPI says it. */
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import type { Route } from "../routes.ts";
import type { Schema } from "./schema.ts";

/** The two ways to say who one is. */
export const securitySchemes: Schema = {
  bearer: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "An access token, as signing in gives it.",
  },
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "An API key." },
};

/** What an operation asks for. */
export interface Security {
  /** Alternatives; none: anybody may call. Names in a list are the role or the scope that is needed (OpenAPI 3.1). */
  readonly requirements: Schema[];
  /** The same in words; undefined for what anybody may call. */
  readonly text: string | undefined;
}

/** @param openByDefault whether a method without an access rule is open; otherwise it is refused to everybody */
export function securityOf({ access }: Route, openByDefault: boolean): Security {
  if (access?.level === AccessLevel.PUBLIC || (access === undefined && openByDefault))
    return { requirements: [], text: undefined };
  const role = access?.level === AccessLevel.ROLE ? access.role : "";
  const scope = access?.scope ?? "";
  const bearer: Schema = { bearer: role === "" ? [] : [role] };
  const texts = [
    access === undefined || access.level === AccessLevel.UNSPECIFIED
      ? "Refused to everybody: the method has no access rule."
      : "",
    role === "" ? "" : `Needs the role \`${role}\`.`,
    access?.sessionOnly === true ? "Takes a signed-in person, and no API key." : "",
    scope === "" ? "" : `An API key needs the scope \`${scope}\`.`,
  ].filter((text) => text !== "");
  const text = texts.length === 0 ? undefined : texts.join(" ");
  if (access?.sessionOnly === true) return { requirements: [bearer], text };
  return { requirements: [bearer, { apiKey: [role, scope].filter((name) => name !== "") }], text };
}
