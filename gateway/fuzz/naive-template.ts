/** Whether a path template may be served, by one regular expression for the grammar of google/api/http.proto: an oracle for its parser. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isText } from "./template.ts";

/** Whether the template is one, over a request message, where literals may follow `**`. */
export function isTemplate(text: string, input: DescMessage): boolean {
  if (!grammar.test(text)) return false;
  const escapes = text.match(/(?:%[0-9a-fA-F]{2})+/g) ?? [];
  if (!escapes.every(isUtf8) || (text.includes("%") && /%(?![0-9a-fA-F]{2})/.test(text))) return false;
  // Nothing but literals behind "**", those of a variable's pattern too.
  const flat = text.replace(/\{[^=}]+\}/g, "*").replace(/\{[^=}]+=([^}]*)\}/g, "$1");
  if (/\*\*.*\*/.test(flat)) return false;
  const variables = [...text.matchAll(/\{([^=}]+)/g)].map(([, path = ""]) => path);
  return new Set(variables).size === variables.length && variables.every((path) => holdsText(input, path.split(".")));
}

const literal = String.raw`(?:%[0-9a-fA-F]{2}|[^/:{}*?#[\]\\^\x60|<>"\s%\x00-\x20\x7f])+`;
const plain = String.raw`(?:\*\*|\*|${literal})`;
const name = "[A-Za-z_][A-Za-z0-9_]*";
const variable = String.raw`\{${name}(?:\.${name})*(?:=${plain}(?:/${plain})*)?\}`;
const segment = `(?:${plain}|${variable})`;
const grammar = new RegExp(`^/${segment}(?:/${segment})*(?::${literal})?$`);

function holdsText(input: DescMessage, path: readonly string[]): boolean {
  let type: DescMessage | undefined = input;
  let field: DescField | undefined;
  for (const part of path) {
    field = type?.fields.find((candidate) => candidate.name === part);
    if (field === undefined || field.fieldKind === "list" || field.fieldKind === "map") return false;
    type = field.message === undefined || isText(field.message) ? undefined : field.message;
  }
  return field !== undefined && type === undefined;
}

function isUtf8(escapes: string): boolean {
  try {
    decodeURIComponent(escapes);
    return true;
  } catch {
    return false;
  }
}
