/** Random path templates over the fields of a message. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Random } from "./random.ts";

/** A template. */
export interface MadeTemplate {
  readonly text: string;
  /** The field paths of its variables. */
  readonly variables: readonly string[];
}

/** A template that is right. */
export function randomTemplate(random: Random, input: DescMessage): MadeTemplate {
  const variables: string[] = [];
  const count = 1 + random.below(4);
  const segments: string[] = [];
  for (let index = 0; index < count; index++) {
    const last = index === count - 1;
    const kind = random.below(10);
    if (kind < 4) segments.push(random.pick(literals));
    else if (kind === 4) segments.push("*");
    else if (kind === 5 && last) segments.push("**");
    else {
      const path = random.pick(textPaths(input, 0));
      if (variables.includes(path)) segments.push(random.pick(literals));
      else {
        variables.push(path);
        segments.push(variable(random, path, last));
      }
    }
  }
  const deep = segments.at(-1)?.includes("**") === true;
  if (deep && random.chance(0.2)) segments.push(random.pick(literals));
  const verb = random.chance(0.15) ? `:${random.pick(verbs)}` : "";
  return { text: `/${segments.join("/")}${verb}`, variables };
}

/** The same text with a character or two more, fewer or others. */
export function mutateTemplate(random: Random, text: string): string {
  let mutated = text;
  for (let left = random.below(3); left >= 0; left--) {
    const at = random.below(mutated.length + 1);
    const kind = random.below(4);
    const stray = random.pick([
      "/",
      "{",
      "}",
      "*",
      "**",
      ":",
      "=",
      ".",
      "%",
      "%41",
      "%ff",
      "a",
      "_",
      "1",
      "?",
      "#",
      " ",
      "é",
      "{name}",
      "{name=*}",
    ]);
    if (kind === 0) mutated = mutated.slice(0, at) + mutated.slice(at + 1);
    else if (kind === 1) mutated = mutated.slice(0, at) + stray + mutated.slice(at + 1);
    else if (kind === 2) mutated = mutated.slice(0, at) + stray + mutated.slice(at);
  }
  return mutated;
}

/** Literals and verbs are few, so that templates overlap. */
export const literals = ["a", "b", "v1", "x.y", "%C3%A4", "a%20b", "~-_", "a"];
export const verbs = ["go", "stop", "a%62c"];

/** What two templates that match the same paths have in common. */
export function shapeOf({ text }: MadeTemplate): string {
  return decodeURIComponent(text.replace(/\{[^=}]+\}/g, "*").replace(/\{[^=}]+=([^}]*)\}/g, "$1"));
}

/** Whether one text stands for a message of the type. */
export function isText(type: DescMessage): boolean {
  return /^google\.protobuf\.(Timestamp|Duration|FieldMask|(String|Bytes|Bool|Double|Float|U?Int(32|64))Value)$/.test(
    type.typeName,
  );
}

function variable(random: Random, path: string, last: boolean): string {
  const kind = random.below(6);
  if (kind === 0 && last) return `{${path}=**}`;
  if (kind === 1 && last) return `{${path}=${random.pick(literals)}/**}`;
  if (kind === 2) return `{${path}=${random.pick(literals)}/*}`;
  if (kind === 3) return `{${path}=*}`;
  if (kind === 4 && random.chance(0.2)) return `{${path}=${random.pick(literals)}}`;
  return `{${path}}`;
}

/** The paths of fields that a text can set, through at most two messages. Texts stand more often than others. */
function textPaths(type: DescMessage, depth: number): string[] {
  return type.fields.flatMap((field: DescField) => {
    if (field.fieldKind === "list" || field.fieldKind === "map") return [];
    if (field.message === undefined || isText(field.message)) {
      return field.name === "name" ? [field.name, field.name, field.name] : [field.name];
    }
    if (depth >= 2 || field.message.typeName.startsWith("google.")) return [];
    return textPaths(field.message, depth + 1).map((path) => `${field.name}.${path}`);
  });
}
