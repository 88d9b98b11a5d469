/** The gateway's own endpoints as operations of OpenAPI, beside those of the contracts. */
import { maxRequests } from "../batch-request.ts";
import { parsePathTemplate, shapeOf } from "../path-template.ts";
import type { RouteEntry } from "../router.ts";
import type { Route } from "../routes.ts";
import type { ErrorResponses } from "./error-responses.ts";
import type { Schema } from "./schema.ts";

/** The tag under which they stand. */
export const ownTag: Schema = { name: "gateway", description: "What the gateway itself answers." };

/** One endpoint: what stands in the document but its errors. */
interface OwnOperation {
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** True: administrators, and the gateway's own API keys. */
  readonly operator?: boolean;
  readonly parameters?: Schema[];
  readonly requestBody?: Schema;
  readonly responses: Schema;
  /** The statuses of errors, beside 500 and those of operators. */
  readonly errors: readonly number[];
}

/** The paths of the endpoints whose place no route takes, each with its one operation. */
export function ownPathsOf(routes: readonly RouteEntry<Route>[], errors: ErrorResponses): [path: string, item: Schema][] {
  const taken = new Set(routes.map(({ httpMethod, template }) => `${httpMethod} ${shapeOf(template)}`));
  return Object.entries(own).flatMap(([key, operation]) => {
    const [httpMethod = "", path = ""] = key.split(" ");
    const shape = shapeOf(parsePathTemplate(path));
    if (taken.has(`${httpMethod} ${shape}`) || taken.has(`* ${shape}`)) return [];
    return [[path, { [httpMethod.toLowerCase()]: operationOf(operation, errors) }]];
  });
}

function operationOf(
  { id, operator = false, responses, errors: statuses, ...texts }: OwnOperation,
  errors: ErrorResponses,
): Schema {
  const failures = [...new Set([...statuses, ...(operator ? [401, 403, 503, 504] : []), 500])].sort((a, b) => a - b);
  return {
    operationId: `Gateway_${id}`,
    tags: ["gateway"],
    ...texts,
    responses: {
      ...responses,
      ...Object.fromEntries(failures.map((status) => [String(status), errors.response(status)])),
      default: errors.response(undefined),
    },
    security: operator ? [{ bearer: ["admin"] }, { apiKey: [] }] : [],
  };
}

const text: Schema = { type: "string" };
const count: Schema = { type: "integer", minimum: 0 };

function json(description: string, schema: Schema): Schema {
  return { description, content: { "application/json": { schema } } };
}

function object(properties: Record<string, Schema>, required = Object.keys(properties)): Schema {
  return { type: "object", properties, required };
}

function list(items: Schema): Schema {
  return { type: "array", items };
}

function mapOf(values: Schema): Schema {
  return { type: "object", additionalProperties: values };
}

const status: Schema = { type: "string", enum: ["UP", "DEGRADED", "DOWN"] };

const health = object(
  {
    status,
    services: mapOf(
      object({
        status,
        instances: list(object({ id: text, address: text, status: text, version: text }, ["id", "address", "status"])),
      }),
    ),
    missing_contracts: { ...list(text), description: "Contracts that have routes and no healthy instance." },
    contracts: object(
      {
        source: text,
        version: text,
        loaded_at: { type: "string", format: "date-time" },
        refused: {
          ...object({ reason: text, at: { type: "string", format: "date-time" } }),
          description: "The last change, when it was refused.",
        },
      },
      ["source", "version", "loaded_at"],
    ),
    circuit_breakers: list(
      object(
        {
          service: text,
          endpoint: text,
          state: { type: "string", enum: ["CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "DISABLED"] },
          failure_rate: { type: ["number", "null"] },
          calls: count,
          open_until: { type: "string", format: "date-time" },
        },
        ["service", "state", "failure_rate", "calls"],
      ),
    ),
    registry: object({ address: text, connected: { type: "boolean" }, age_ms: { type: ["number", "null"] } }),
  },
  ["status", "services", "missing_contracts", "circuit_breakers"],
);

const instance = object({
  id: text,
  service: text,
  address: text,
  port: count,
  tags: list(text),
  meta: mapOf(text),
  weight: { type: "number" },
  status: text,
});

const latency: Schema = { type: ["number", "null"] };
const counts = object({
  requests: count,
  errors: { ...count, description: "Answers of status 500 and above." },
  client_errors: count,
  in_flight: count,
  latency_ms: object({ p50: latency, p95: latency, p99: latency }),
});

const batch: Schema = {
  ...object({
    requests: {
      type: "array",
      minItems: 1,
      maxItems: maxRequests,
      items: {
        ...object(
          {
            id: { ...text, description: "Names the answer; unique in the batch. Default: the place in it." },
            method: { ...text, pattern: "^[A-Z]+$" },
            path: { ...text, pattern: "^/", description: "With its query." },
            headers: mapOf(text),
            body: { description: "JSON; a text where the headers name another media type." },
          },
          ["method", "path"],
        ),
        additionalProperties: false,
      },
    },
  }),
  additionalProperties: false,
};

const batchAnswer = object({
  responses: list(
    object(
      {
        id: text,
        status: { type: "integer", minimum: 200, maximum: 599 },
        headers: mapOf(text),
        body: { description: "JSON as it is, another text as a text." },
        body_base64: { ...text, description: "Other bytes." },
      },
      ["id", "status", "headers"],
    ),
  ),
});

const own: Readonly<Record<string, OwnOperation>> = {
  "GET /health": {
    id: "Health",
    summary: "How well the whole is",
    responses: {
      "200": json("The gateway works; `status` tells of what is behind it.", health),
      "503": json("The gateway itself ends.", health),
    },
    errors: [400, 431],
  },
  "GET /registry": {
    id: "Registry",
    summary: "Every service with its instances",
    responses: {
      "200": json(
        "What the registry knows.",
        object({ services: list(object({ name: text, tags: list(text), instances: list(instance) })) }),
      ),
    },
    errors: [400, 431],
  },
  "POST /circuit-breaker/reset/{service}": {
    id: "ResetCircuitBreaker",
    summary: "Close the circuit breaker of a service",
    operator: true,
    parameters: [
      { name: "service", in: "path", required: true, schema: text, description: "A service, or a contract's full name." },
    ],
    responses: { "200": json("It is closed.", object({ service: text, state: { const: "CLOSED" } })) },
    errors: [400, 404, 431],
  },
  "POST /api/v1/batch": {
    id: "Batch",
    summary: "Several requests in one",
    description:
      "Each request takes the whole walk: its own credentials, else the batch's, its rate, deadline and cache. Streams and batches cannot be part of a batch.",
    requestBody: { required: true, content: { "application/json": { schema: batch } } },
    responses: { "200": json("The answers, in the order of the requests.", batchAnswer) },
    errors: [400, 408, 413, 415, 431, 503],
  },
  "GET /api/v1/gateway/stats": {
    id: "Stats",
    summary: "Counts and latencies since the gateway's start",
    operator: true,
    responses: {
      "200": json(
        "By route and by backend.",
        object({
          started_at: { type: "string", format: "date-time" },
          uptime_seconds: count,
          total: counts,
          routes: mapOf(counts),
          backends: mapOf(counts),
          cache: mapOf(count),
        }),
      ),
    },
    errors: [400, 431],
  },
};
