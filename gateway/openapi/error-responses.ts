/** The answers of errors: each status once, as a component that operations refer to. */
import { errorSchemas } from "./error-schemas.ts";
import type { Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";

/** Collects the answers as they are referred to. */
export class ErrorResponses {
  readonly #content: Schema;
  readonly #components = new Map<string, Schema>();

  /** Adds the schemas of errors to `schemas`. */
  constructor(schemas: Schemas) {
    const { status, problem } = errorSchemas(schemas);
    this.#content = { "application/json": { schema: status }, "application/problem+json": { schema: problem } };
  }

  /** The components so far, by name, sorted. */
  get components(): Record<string, Schema> {
    return Object.fromEntries([...this.#components].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A reference to the answer of a status; undefined: of any other. */
  response(status: number | undefined): Schema {
    const name = status === undefined ? "Error" : `Error${status}`;
    const headers = status === undefined ? undefined : headersOf[status];
    const description = (status === undefined ? undefined : texts[status]) ?? "Another error.";
    const content = this.#content;
    this.#components.set(name, headers === undefined ? { description, content } : { description, headers, content });
    return { $ref: `#/components/responses/${name}` };
  }
}

const texts: Readonly<Record<number, string>> = {
  400: "The request breaks the contract or a rule: `details` names each field that does. Or the state does not allow the call.",
  401: "Nobody is signed in, or the credentials are not good.",
  403: "The caller may not do this.",
  404: "It does not exist, or belongs to somebody else.",
  408: "The body did not arrive in time.",
  409: "It exists already, or changed meanwhile.",
  412: "A condition of the request (If-Match, If-None-Match) does not hold, or cannot be held to.",
  413: "The body is too large.",
  415: "The body's media type or encoding is none of those that are taken.",
  416: "The range lies outside of the body.",
  426: "A stream both ways without a body needs a WebSocket.",
  429: "Too many requests.",
  431: "The head, with the URL, is over 16 KiB.",
  500: "A defect of the service.",
  501: "The service does not have the method.",
  503: "The service is away for the moment.",
  504: "The deadline has passed.",
};

const retryAfter: Schema = {
  "Retry-After": { description: "Seconds to wait before the next attempt.", schema: { type: "integer", minimum: 1 } },
};

const headersOf: Readonly<Record<number, Schema>> = {
  401: { "WWW-Authenticate": { description: "What credentials are taken.", schema: { type: "string" } } },
  429: retryAfter,
  503: retryAfter,
};
