/** A query as JSON, for the oracle. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { NumberToken, Refused, type Tree, Unknowable } from "./json-tree.ts";
import { checkOneofs, isWrapper, type Plain, type PlainObject, plainObject, strictField, strictKey } from "./strict-json.ts";
import { isText } from "./template.ts";

/** Merges the query's parameters into JSON; `decide` says of each whether it is set, and may throw. @throws Refused, Unknowable */
export function mergeQuery(
  input: DescMessage,
  query: string,
  merged: PlainObject,
  decide: (fields: readonly DescField[], value: string) => "set" | "skip",
): void {
  const given = new Set<string>();
  for (const pair of query.split("&").filter((text) => text !== "")) {
    const [, rawName = "", rawValue = ""] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
    const [name, value] = [decoded(rawName), decoded(rawValue)];
    const { fields, key } = resolve(input, name);
    const leaf = fields.at(-1);
    if (leaf === undefined) throw new Refused("no name");
    const slot = `${fields.map((field) => field.name).join(".")}${key === undefined ? "" : `[${key}]`}`;
    if (given.has(slot) && leaf.fieldKind !== "list") throw new Refused(`${slot} twice`);
    given.add(slot);
    if (decide(fields, value) === "skip") continue;
    const item = single(leaf, value);
    const before = valueAt(merged, fields);
    if (leaf.fieldKind === "list") put(input, merged, fields, [...((before ?? []) as Plain[]), item]);
    else if (leaf.fieldKind === "map") {
      put(input, merged, fields, Object.assign(plainObject(), before as PlainObject | undefined, { [key ?? ""]: item }));
    } else put(input, merged, fields, item);
  }
}

/** The text of a path or query as JSON of one value of the field. @throws Refused */
export function textTree(field: DescField, text: string): Tree {
  if (field.message !== undefined) {
    if (!isWrapper(field.message)) return text;
    return scalarTree(field.message.fields[0]?.scalar ?? ScalarType.STRING, text);
  }
  if (field.enum === undefined) return scalarTree(field.scalar, text);
  if (field.enum.values.some(({ name }) => name === text)) return text;
  if (!/^-?[0-9]{1,10}$/.test(text)) throw new Refused(`no value of the enum: ${text}`);
  return new NumberToken(text);
}

function scalarTree(type: ScalarType, text: string): Tree {
  if (type === ScalarType.STRING || type === ScalarType.BYTES || type === ScalarType.DOUBLE || type === ScalarType.FLOAT)
    return text;
  if (type !== ScalarType.BOOL) {
    if (!/^-?[0-9]+$/.test(text)) throw new Refused(`no integer: ${text}`);
    return text;
  }
  if (text !== "true" && text !== "false") throw new Refused(`no bool: ${text}`);
  return text === "true";
}

/** One value: of a list an item, of a map the value of an entry. */
function single(field: DescField, text: string): Plain {
  const tree = textTree(field, text);
  const types = { getMessage: () => undefined } as never;
  if (field.fieldKind === "list") return (strictField(field, [tree], types) as Plain[])[0] ?? null;
  if (field.fieldKind !== "map") return strictField(field, tree, types);
  const key = field.mapKey === ScalarType.STRING ? "" : field.mapKey === ScalarType.BOOL ? "true" : "0";
  return Object.values(strictField(field, { [key]: tree }, types) as PlainObject)[0] ?? null;
}

function resolve(input: DescMessage, name: string): { fields: DescField[]; key: string | undefined } {
  const [, path = name, bracket] = /^([^[]*)\[(.*)\]$/s.exec(name) ?? [];
  const names = path.split(".");
  if (names.length > 32) throw new Refused("too deep");
  const fields: DescField[] = [];
  let type: DescMessage | undefined = input;
  for (const part of names) {
    const known: DescMessage | undefined = type;
    const field: DescField | undefined =
      known?.fields.find(({ jsonName }) => jsonName === part) ?? known?.fields.find((candidate) => candidate.name === part);
    if (field === undefined) throw new Refused(`unknown parameter ${name}`);
    fields.push(field);
    type = field.fieldKind === "message" && !isText(field.message) ? field.message : undefined;
  }
  const leaf = fields.at(-1);
  if (leaf === undefined || (leaf.message !== undefined && !isText(leaf.message))) throw new Refused(`${name} is a message`);
  if ((leaf.fieldKind === "map") !== (bracket !== undefined)) throw new Refused(`${name}: brackets are for maps`);
  // Messages whose JSON is not an object of their fields: the query can set those all the same.
  if (fields.some(({ parent }) => /^google\.protobuf\.(Any|Struct|Value|ListValue)$/.test(parent.typeName)))
    throw new Unknowable(name);
  return { fields, key: leaf.fieldKind === "map" ? strictKey(leaf.mapKey, bracket ?? "") : undefined };
}

/** What stands at a field path; undefined: nothing. */
export function valueAt(plain: PlainObject, fields: readonly DescField[]): Plain | undefined {
  let value: Plain | undefined = plain;
  for (const { name } of fields) value = typeof value === "object" && value !== null ? (value as PlainObject)[name] : undefined;
  return value;
}

function decoded(text: string): string {
  const spaced = text.replaceAll("+", "%20");
  if (/[^\x21-\x7e]/.test(spaced) || /%(?![0-9a-fA-F]{2})/.test(spaced)) throw new Refused(`no query: ${text}`);
  const hex = spaced.replace(
    /[^%]|%(..)/g,
    (plain, code: string | undefined) => code ?? plain.charCodeAt(0).toString(16).padStart(2, "0"),
  );
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(hex, "hex"));
  } catch {
    throw new Refused(`no UTF-8: ${text}`);
  }
}

/** Sets a value below messages, which are made where there are none. */
export function put(input: DescMessage, plain: PlainObject, fields: readonly DescField[], value: Plain): void {
  let [type, target] = [input, plain];
  for (const [index, field] of fields.entries()) {
    if (index === fields.length - 1) target[field.name] = value;
    else {
      target[field.name] ??= plainObject();
      const next = target[field.name] as PlainObject;
      checkOneofs(type, target);
      [type, target] = [field.message ?? type, next];
      continue;
    }
    checkOneofs(type, target);
  }
}
