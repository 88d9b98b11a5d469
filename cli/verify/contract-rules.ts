/** The rules for contracts: each method has a route and says who may call it, and each contract has a service config. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DescMethod, DescService, FileRegistry } from "@bufbuild/protobuf";
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import { accessRuleOf } from "#mesh/identity/access.ts";
import { parseServiceConfig, ServiceConfigError } from "#mesh/policy/service-config.ts";
import { contractsOf } from "../../consul/seed.ts";
import type { Plan } from "../../gateway/plan.ts";
import { representationsOf } from "../../gateway/representation.ts";
import type { RouteEntry } from "../../gateway/router.ts";
import type { Route } from "../../gateway/routes.ts";
import type { Finding } from "./finding.ts";

/** Holds every contract of `files` that lies under proto/ to the rules. `plan` is the table compiled of them. */
export function contractFindings(root: string, files: FileRegistry, plan: Plan): readonly Finding[] {
  const services = [...files].flatMap((desc) => (desc.kind === "service" ? [desc] : []));
  const contracts = services.filter((contract) => existsSync(join(root, fileOf(contract))));
  // Every method has a route of its full name besides; this is about those that the contract gives.
  const annotated = plan.contracts.methods.filter(({ http }) => http !== undefined).map(({ desc }) => desc);
  // A method that draws another one's answer is reached by that one's route.
  const drawing = annotated.flatMap((method) => representationsOf(method).map((form) => form.method));
  const routed = new Set([...annotated, ...drawing]);
  return [
    ...contracts.flatMap(({ methods }) => methods.flatMap((method) => methodFindings(method, routed))),
    ...contracts.flatMap((contract) => configFindings(root, contract)),
    ...[...new Set(contracts.map(configFile))].flatMap((file) => configFileFindings(root, file, files)),
    ...plan.routes.flatMap((route) => routeFindings(plan, route)),
  ];
}

function methodFindings(method: DescMethod, routed: ReadonlySet<DescMethod>): Finding[] {
  const file = fileOf(method.parent);
  const name = `${method.parent.typeName}/${method.name}`;
  const rule = accessRuleOf(method);
  const findings: Finding[] = [];
  if (rule === undefined || rule.level === AccessLevel.UNSPECIFIED) {
    const fix = "add `option (heddle.v1.access) = {level: ACCESS_LEVEL_...};`, or nobody may call it";
    findings.push({ file, rule: "access-rule", what: `${name} does not say who may call it`, fix });
  }
  if (rule?.level === AccessLevel.ROLE && rule.role === "") {
    const fix = 'name it: `{level: ACCESS_LEVEL_ROLE role: "admin"}`';
    findings.push({ file, rule: "access-rule", what: `${name} asks for a role and names none`, fix });
  }
  // What only services may call, the gateway never lets in, so a route to it would lead nowhere.
  const service = rule?.level === AccessLevel.SERVICE;
  if (!service && !routed.has(method)) {
    const fix = "add `option (google.api.http)`, or make it ACCESS_LEVEL_SERVICE if it is for services alone";
    findings.push({ file, rule: "rest-route", what: `${name} has no REST route`, fix });
  }
  if (service && routed.has(method)) {
    const fix = "drop its `option (google.api.http)`, or let people call it";
    findings.push({ file, rule: "rest-route", what: `${name} has a route that the gateway refuses to everybody`, fix });
  }
  return findings;
}

function configFindings(root: string, contract: DescService): Finding[] {
  const file = configFile(contract);
  const config = read(join(root, file));
  if (config !== undefined && contractsOf(config).includes(contract.typeName)) return [];
  const what = `${contract.typeName} has no service config: its calls have no deadline`;
  const fix = `give it one: {"methodConfig": [{"name": [{"service": "${contract.typeName}"}], "timeout": "5s"}]}`;
  return [{ file, rule: "service-config", what, fix }];
}

function configFileFindings(root: string, file: string, files: FileRegistry): Finding[] {
  const text = read(join(root, file));
  if (text === undefined) return [];
  const known = (contract: string, method: string) =>
    files.getService(contract)?.methods.some(({ name }) => method === "" || name === method) === true;
  try {
    parseServiceConfig(JSON.parse(text), { known });
    return [];
  } catch (error) {
    const sentences = error instanceof ServiceConfigError ? error.message.split("\n") : [String(error)];
    return sentences.map((what) => ({ file, rule: "service-config", what, fix: "correct the value at that place" }));
  }
}

/** A route that another one hides serves nobody: a request made from its own template must come back to it. */
function routeFindings(plan: Plan, { httpMethod, template, target }: RouteEntry<Route>): Finding[] {
  const path = template.segments
    .map((segment) => (segment.kind === "literal" ? encodeURIComponent(segment.value) : "x"))
    .join("/");
  const verb = template.verb === "" ? "" : `:${template.verb}`;
  const match = plan.router.match(httpMethod === "*" ? "GET" : httpMethod, `/${path}${verb}`);
  const reached = match.kind === "found" && match.entry.target.kind === "rpc" ? match.entry.target.route.method : undefined;
  if (reached === target.method) return [];
  const what = `${httpMethod} ${template.text} does not lead to ${target.method.parent.typeName}/${target.method.name}`;
  const fix = `see \`heddle route explain ${httpMethod} /${path}${verb}\`, and change one of the two templates`;
  return [{ file: fileOf(target.method.parent), rule: "route-resolves", what, fix }];
}

function fileOf(desc: { readonly file: { readonly name: string } }): string {
  return `proto/${desc.file.name}.proto`;
}

function configFile(contract: DescService): string {
  return `${dirname(fileOf(contract))}/service-config.json`;
}

function read(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
