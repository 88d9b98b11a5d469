/** Random requests to a contract: most of them right or nearly so, some of them rubbish. */
import { create, type DescField, type DescMessage, toBinary, toJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { type MadeContract, type MadeRule, serviceName } from "./contract.ts";
import { junk, type Loose, loose, mutate, respell, respellField, write } from "./json-text.ts";
import { fill, randomMessage } from "./messages.ts";
import type { FuzzRequest } from "./oracle.ts";
import type { Random } from "./random.ts";
import { isText, literals, verbs } from "./template.ts";
import { randomEnum, randomScalar, randomText } from "./values.ts";

/** A request. */
export function randomRequest(random: Random, contract: MadeContract): FuzzRequest {
  const rule = random.pick(contract.rules);
  const input = contract.messages.get(rule.method);
  if (input === undefined) throw new Error(`no method ${rule.method}`);
  const path = random.chance(0.03) ? rubbishPath(random) : randomPath(random, rule, input, contract);
  const httpMethod = random.chance(0.05)
    ? random.pick(otherMethods)
    : rule.httpMethod === "*"
      ? random.pick(otherMethods)
      : rule.httpMethod;
  const query = randomQuery(random, rule, input, contract);
  return { httpMethod, path, query, ...randomBody(random, rule, input, contract) };
}

// Only POST: what GET and POST mean on the path of an rpc is Connect's to say.
const otherMethods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "SEARCH", "LINK"];

function randomPath(random: Random, rule: MadeRule, input: DescMessage, contract: MadeContract): string {
  if (rule.template.startsWith(`/${serviceName}/`)) return rule.template;
  const [, body = "", verb = ""] = /^\/(.*?)(:[^/{}:]+)?$/.exec(rule.template) ?? [];
  const segments: string[] = [];
  for (const [, name, inner, plain] of body.matchAll(/\{([^=}]+)(?:=([^}]*))?\}|([^/{}]+)/g)) {
    for (const part of (plain ?? inner ?? "*").split("/")) {
      if (part === "*") segments.push(name === undefined ? randomSegment(random) : variableText(random, input, name, contract));
      else if (part === "**") segments.push(...random.times(random.below(4), () => randomSegment(random)));
      else segments.push(random.chance(0.1) ? encodeURIComponent(decodeURIComponent(part)) : part);
    }
  }
  if (random.chance(0.1)) mutateSegments(random, segments);
  const end = random.chance(0.03) ? "/" : "";
  return `/${segments.join("/")}${random.chance(0.9) ? verb : `:${random.pick([...verbs, "", "nope"])}`}${end}`;
}

function mutateSegments(random: Random, segments: string[]): void {
  const at = random.below(segments.length + 1);
  const kind = random.below(4);
  if (kind === 0) segments.splice(at, 0, random.chance(0.3) ? "" : randomSegment(random));
  else if (kind === 1) segments.splice(at, 1);
  else if (kind === 2)
    segments[at] = random.pick(["%", "%zz", "%ff", "%c3%28", "*", "**", "{name}", ":", "a:", ".", "..", "%2E%2E"]);
  else segments[at] = random.pick(literals);
}

function randomSegment(random: Random): string {
  if (random.chance(0.4)) return random.pick([...literals, ...literals, "c", "d:e", "A", "%2F", "a%2Fb", "a%2fb"]);
  return encode(random, randomText(random)) || "x";
}

function rubbishPath(random: Random): string {
  const text = random.times(random.below(30), () => random.pick([..."/:%abé{}*?.~-_0129"])).join("");
  // A request line ends at a blank, and the path at a question mark.
  return `/${text.replaceAll("?", "").replaceAll("é", random.pick(["%c3", "%A9", "%c3%a9"]))}`;
}

/** A text that the field takes, mostly. */
function variableText(random: Random, input: DescMessage, name: string, contract: MadeContract): string {
  const field = leafOf(input, name.split("."));
  return (
    encode(random, random.chance(0.1) ? String(strayText(random)) : textOf(random, field, contract)) || random.pick(["0", "x"])
  );
}

function encode(random: Random, text: string): string {
  const encoded = encodeURIComponent(text.toWellFormed()).replaceAll("!", random.pick(["!", "%21"]));
  if (!random.chance(0.2)) return encoded;
  return encoded
    .replaceAll("%3A", ":")
    .replaceAll("%40", "@")
    .replaceAll("%2C", ",")
    .replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
}

function strayText(random: Random): string {
  const value = junk(random);
  return typeof value === "object" && value !== null ? ("text" in value ? value.text : "{}") : String(value);
}

function leafOf(input: DescMessage, names: readonly string[]): DescField {
  let type: DescMessage | undefined = input;
  let leaf: DescField | undefined;
  for (const name of names) {
    leaf = type?.fields.find((field) => field.name === name);
    type = leaf?.message;
  }
  if (leaf === undefined) throw new Error(`no field ${names.join(".")}`);
  return leaf;
}

/** The text of one value of the field, as a path or query has it. */
function textOf(random: Random, field: DescField, { types }: MadeContract): string {
  if (field.message !== undefined) {
    if (!isText(field.message)) return "{}";
    return String(toJson(field.message, randomMessage({ random, types }, field.message)));
  }
  if (field.enum !== undefined) {
    const number = randomEnum(random, field.enum);
    return random.chance(0.3) ? String(number) : (field.enum.value[number]?.name ?? String(number));
  }
  const value = randomScalar(random, field.scalar);
  if (!(value instanceof Uint8Array)) return Object.is(value, -0) ? "-0" : String(value);
  return Buffer.from(value).toString(random.pick(["base64", "base64url"]));
}

function randomQuery(random: Random, rule: MadeRule, input: DescMessage, contract: MadeContract): string | undefined {
  const share = rule.body === "*" ? 0.05 : 0.6;
  if (!random.chance(share)) return random.chance(0.05) ? random.pick(["", "&", "&&", "="]) : undefined;
  const pairs = random.times(1 + random.below(4), () => randomPair(random, rule, input, contract));
  if (random.chance(0.03))
    pairs.push(
      random.pick(["nope=1", "%zz=1", "name=%ff", "=", "a", "name[a]=1", "name.x=1", "some_field_1", "%00=", "name=a#b"]),
    );
  return pairs.join("&");
}

function randomPair(random: Random, rule: MadeRule, input: DescMessage, contract: MadeContract): string {
  const names: string[] = [];
  let type: DescMessage | undefined = input;
  let field: DescField | undefined;
  for (let depth = 0; depth < 4 && type !== undefined; depth++) {
    const fields: DescField[] = type.fields.filter(({ name }) => depth > 0 || name !== rule.body || random.chance(0.05));
    if (fields.length === 0) break;
    field = random.pick(fields);
    names.push(random.chance(0.5) ? field.name : field.jsonName);
    type = field.fieldKind === "message" && !isText(field.message) && random.chance(0.97) ? field.message : undefined;
  }
  if (field === undefined) return "x=1";
  const text = random.chance(0.06) ? strayText(random) : textOf(random, field, contract);
  const key =
    field.fieldKind === "map" && random.chance(0.95)
      ? `[${random.pick(["a", "1", "true", "-5", "0", "k]k", "ä", "01", "false"])}]`
      : "";
  const name = encode(random, names.join(".") + key).replaceAll("%5B", random.pick(["[", "%5B"]));
  const value = encode(random, text);
  return `${name}=${random.chance(0.3) ? value.replaceAll("%20", "+") : value}`;
}

type Body = Pick<FuzzRequest, "body" | "contentType">;

function randomBody(random: Random, rule: MadeRule, input: DescMessage, contract: MadeContract): Body {
  const none = { body: new Uint8Array(), contentType: random.chance(0.1) ? random.pick(mediaTypes) : "" };
  if (rule.body === "") return random.chance(0.97) ? none : { body: Buffer.from("{}"), contentType: "application/json" };
  if (random.chance(0.05)) return none;
  const field = rule.body === "*" ? undefined : input.fields.find(({ name }) => name === rule.body);
  const contentType = random.chance(0.9) ? "application/json" : random.pick(mediaTypes);
  if (random.chance(0.05)) return binaryBody(random, field, input, contract);
  const right = rightJson(random, field, input, contract);
  const kind = random.below(20);
  const text = write(
    random,
    kind < 12 ? right : kind < 18 ? mutate(random, kind === 17 ? mutate(random, right) : right) : junk(random),
  );
  const body = Buffer.from(text);
  if (kind === 19) return { contentType, body: mutateBytes(random, body) };
  return { contentType, body };
}

const mediaTypes = [
  "application/json",
  "APPLICATION/JSON; charset=UTF-8",
  'application/json;charset="utf-8"',
  "",
  "text/plain",
  "a/b",
];

function rightJson(random: Random, field: DescField | undefined, input: DescMessage, { types }: MadeContract): Loose {
  const options = { random, types, share: random.pick([0.1, 0.3, 0.6]) };
  if (field === undefined) return respell(random, input, toJson(input, randomMessage(options, input), { registry: types }));
  const message = reflect(field.parent, create(field.parent), false);
  fill(options, message, field);
  const json = toJson(field.parent, message.message, { registry: types, alwaysEmitImplicit: true, useProtoFieldName: true });
  const value = (json as Record<string, unknown>)[field.name];
  return value === undefined ? loose({}) : respellField(random, field, value);
}

function binaryBody(random: Random, field: DescField | undefined, input: DescMessage, { types }: MadeContract): Body {
  const type = field?.fieldKind === "message" ? field.message : input;
  const bytes = toBinary(type, randomMessage({ random, types, share: 0.3 }, type));
  return { contentType: "application/x-protobuf", body: random.chance(0.7) ? bytes : mutateBytes(random, bytes) };
}

function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = [...bytes];
  const kind = random.below(4);
  if (kind === 0) return Uint8Array.from(copy.slice(0, random.below(copy.length + 1)));
  if (kind === 1)
    copy.splice(random.below(copy.length + 1), 0, random.pick([...Buffer.from('{}[],:"\\ 0x\u0000'), 0xff, 0xc3, 0xed]));
  else if (kind === 2 && copy.length > 0) copy[random.below(copy.length)] = random.below(256);
  else copy.push(...Buffer.from(random.pick([" ", "x", "{}", "\u0000", ",", "null", "]".repeat(200), "[".repeat(200)])));
  return Uint8Array.from(copy);
}
