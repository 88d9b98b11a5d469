/** protovalidate's rules of a string as JSON Schema. */
import { isFieldSet } from "@bufbuild/protobuf";
import { KnownRegex, type StringRules, StringRulesSchema } from "#gen/buf/validate/validate_pb.ts";
import { described, narrowed, type Schema } from "./schema.ts";

/** Narrows the schema of a string. */
export function stringRules(schema: Schema, rules: StringRules): Schema {
  const { field } = StringRulesSchema;
  const set = (name: "const" | "len" | "minLen" | "maxLen") => isFieldSet(rules, field[name]);
  const keywords: Schema = {};
  if (set("const")) keywords.const = rules.const;
  if (set("len")) keywords.minLength = keywords.maxLength = Number(rules.len);
  if (set("minLen")) keywords.minLength = Number(rules.minLen);
  if (set("maxLen")) keywords.maxLength = Number(rules.maxLen);
  if (rules.in.length > 0) keywords.enum = [...rules.in];
  if (rules.notIn.length > 0) keywords.not = { enum: [...rules.notIn] };
  let narrow = narrowed(schema, keywords);
  for (const pattern of patternsOf(rules)) narrow = narrowed(narrow, { pattern });
  const { wellKnown } = rules;
  if (wellKnown.case === "wellKnownRegex") narrow = described(narrow, regexes[wellKnown.value]);
  else if (wellKnown.case !== undefined && wellKnown.value) narrow = narrowed(narrow, formats[wellKnown.case]);
  if (rules.example.length > 0) narrow = narrowed(narrow, { examples: [...rules.example] });
  const bytes = [
    rules.lenBytes > 0n ? `Exactly ${rules.lenBytes} bytes.` : undefined,
    rules.minBytes > 0n ? `At least ${rules.minBytes} bytes.` : undefined,
    rules.maxBytes > 0n ? `At most ${rules.maxBytes} bytes.` : undefined,
  ];
  return described(narrow, ...bytes);
}

/** Each as ECMA-262 reads it; a pattern of RE2 that it cannot read is left out. */
function patternsOf({ pattern, prefix, suffix, contains, notContains }: StringRules): string[] {
  return [
    pattern,
    prefix && `^${escaped(prefix)}`,
    suffix && `${escaped(suffix)}$`,
    contains && escaped(contains),
    notContains && `^(?!.*${escaped(notContains)})`,
  ].filter((text) => text !== "" && isPattern(text));
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false;
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

const formats: Readonly<Record<Exclude<StringRules["wellKnown"]["case"], undefined | "wellKnownRegex">, Schema>> = {
  email: { format: "email" },
  hostname: { format: "hostname" },
  ip: { anyOf: [{ format: "ipv4" }, { format: "ipv6" }] },
  ipv4: { format: "ipv4" },
  ipv6: { format: "ipv6" },
  uri: { format: "uri" },
  uriRef: { format: "uri-reference" },
  address: { anyOf: [{ format: "hostname" }, { format: "ipv4" }, { format: "ipv6" }] },
  uuid: { format: "uuid" },
  tuuid: { pattern: "^[0-9a-fA-F]{32}$" },
  ipWithPrefixlen: { description: "An IP address with the length of its prefix, such as 192.0.2.1/24." },
  ipv4WithPrefixlen: { description: "An IPv4 address with the length of its prefix, such as 192.0.2.1/24." },
  ipv6WithPrefixlen: { description: "An IPv6 address with the length of its prefix, such as 2001:db8::1/64." },
  ipPrefix: { description: "An IP network, such as 192.0.2.0/24." },
  ipv4Prefix: { description: "An IPv4 network, such as 192.0.2.0/24." },
  ipv6Prefix: { description: "An IPv6 network, such as 2001:db8::/64." },
  hostAndPort: { description: "A host and a port, such as example.com:443." },
  ulid: { pattern: "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$" },
  protobufFqn: { pattern: "^[A-Za-z_][A-Za-z_0-9]*(\\.[A-Za-z_][A-Za-z_0-9]*)*$" },
  protobufDotFqn: { pattern: "^\\.[A-Za-z_][A-Za-z_0-9]*(\\.[A-Za-z_][A-Za-z_0-9]*)*$" },
};

const regexes: Readonly<Record<number, string>> = {
  [KnownRegex.HTTP_HEADER_NAME]: "The name of an HTTP header.",
  [KnownRegex.HTTP_HEADER_VALUE]: "The value of an HTTP header.",
};
