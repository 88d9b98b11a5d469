/** The contracts for people and programs: `/openapi.json`, and a page to read and try them at `/docs`, without any outside address. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { notFound } from "#mesh/errors.ts";
import { type Endpoint, type EndpointAnswer, endpointAt } from "./endpoints.ts";
import { type OpenApiOptions, openApiOf } from "./openapi/document.ts";
import type { Plan } from "./plan.ts";
import type { RouteEntry } from "./router.ts";

/** A body with the headers that describe it. */
interface Page {
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The endpoints, all public:
 *
 *     GET /openapi.json   the plan that holds, as OpenAPI 3.1; written once for each plan
 *     GET /docs           Swagger UI over it
 *     GET /docs/{file}    what the page consists of
 */
export function docsEndpoints(options: OpenApiOptions): RouteEntry<Endpoint>[] {
  const documents = new WeakMap<Plan, Page>();
  const files = new Map<string, Promise<Page>>();
  return [
    endpointAt("GET", "/openapi.json", "public", (_values, { plan, headers }) => {
      let page = documents.get(plan);
      if (page === undefined) {
        page = pageOf(JSON.stringify(openApiOf(plan, options)), "application/json", "no-cache");
        documents.set(plan, page);
      }
      return answer(page, headers);
    }),
    endpointAt("GET", "/docs", "public", (_values, { headers }) => {
      const { body, headers: own } = pageOf(html(options.title ?? "API"), "text/html; charset=utf-8", "no-cache");
      return answer({ body, headers: { ...own, "content-security-policy": policy } }, headers);
    }),
    endpointAt("GET", "/docs/{file}", "public", async ([file = ""], { headers }) => {
      const type = types[file];
      if (type === undefined) throw notFound("the path", `/docs/${file.slice(0, 100)}`);
      let page = files.get(file);
      if (page === undefined) {
        page = read(file, type);
        files.set(file, page);
        // One that could not be read now may be readable later.
        page.catch(() => files.delete(file));
      }
      return answer(await page, headers);
    }),
  ];
}

/** The files of the page by name, with their types. */
const types: Readonly<Record<string, string>> = {
  "start.js": "text/javascript; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "swagger-ui.css": "text/css; charset=utf-8",
  "favicon-32x32.png": "image/png",
};

/** Nothing but what this gateway serves, and the pictures that stand in the style sheet. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Without `validatorUrl` Swagger UI would send the document's address to a server of its makers. */
const start = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
`;

/** References are relative, so that the page also works behind a proxy that adds a prefix. */
function html(title: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title.replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)}</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;
}

async function read(file: string, type: string): Promise<Page> {
  if (file === "start.js") return pageOf(start, type, "no-cache");
  const folder = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  return pageOf(await readFile(join(folder, file)), type, "max-age=3600");
}

function pageOf(body: string | Uint8Array, type: string, cacheControl: string): Page {
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  const headers = { "content-type": type, "cache-control": cacheControl, etag, "x-content-type-options": "nosniff" };
  return { body, headers };
}

function answer({ body, headers }: Page, asked: IncomingHttpHeaders): EndpointAnswer {
  const known = (asked["if-none-match"] ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (!known.includes(headers.etag ?? "") && !known.includes("*")) return { status: 200, headers, body };
  const { "content-type": _, ...rest } = headers;
  return { status: 304, headers: rest, body: "" };
}
