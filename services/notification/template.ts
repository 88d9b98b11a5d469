/**
 * Texts with `{{name}}` in them.
 *
 *     placeholder = "{{" blank* name blank* "}}"
 *     name        = 1*(letter | digit | "_" | "-" | ".")
 *
 * All else is text. One pass: a value that looks like a placeholder stays as it is.
 */
import { invalidArgument } from "#mesh/errors.ts";
import type { TemplateText } from "./notification.ts";

/** A template with its values in: what is sent, and what is shown of it. */
export interface Rendered {
  readonly subject: string;
  readonly body: string;
  /** Subject and body with *** in place of the secret values. */
  readonly shownSubject: string;
  readonly shownBody: string;
}

/** The longest subject in characters, with its values in; the contract's limit for Text. */
export const maxSubjectLength = 500;
/** The longest body in characters, with its values in; the contract's limit for Text. */
export const maxBodyLength = 100_000;

/**
 * Puts `values` into `template`. Values that it does not name are left out of account.
 *
 * @throws INVALID_ARGUMENT naming template.values when one is missing or the text would be longer than the contract's limit.
 */
export function render(template: TemplateText, values: Readonly<Record<string, string>>): Rendered {
  const missing = [...placeholdersOf(template)].filter((name) => !Object.hasOwn(values, name));
  if (missing.length > 0) {
    throw badValues(`expected a value for ${missing.map((name) => JSON.stringify(name)).join(", ")}, got none`);
  }
  // A line break in a subject would begin a new header.
  const inSubject = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.replaceAll(/\p{Cc}+/gu, " ")]));
  checkLength("subject", template.subject, inSubject, maxSubjectLength);
  checkLength("body", template.body, values, maxBodyLength);
  const hidden = Object.fromEntries(template.secretValues.map((name) => [name, "***"]));
  return {
    subject: fill(template.subject, inSubject),
    body: fill(template.body, values),
    shownSubject: fill(template.subject, { ...inSubject, ...hidden }),
    shownBody: fill(template.body, { ...values, ...hidden }),
  };
}

/** The names that a template asks values for, each once, in the order of the text. */
export function placeholdersOf(template: TemplateText): ReadonlySet<string> {
  const texts = [template.subject, template.body];
  return new Set(texts.flatMap((text) => Array.from(text.matchAll(placeholder), ([, name]) => name ?? "")));
}

const placeholder = /\{\{[ \t]*([A-Za-z0-9_.-]+)[ \t]*\}\}/g;

function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(placeholder, (_, name: string) => values[name] ?? "");
}

/** Adds up before anything is built: a hundred thousand characters of placeholders times the longest value is a gigabyte. */
function checkLength(part: string, text: string, values: Readonly<Record<string, string>>, max: number): void {
  let length = text.length;
  for (const [match, name] of text.matchAll(placeholder)) length += (values[name ?? ""] ?? "").length - match.length;
  if (length > max) throw badValues(`the ${part} would have ${length} characters, expected at most ${max}`);
}

function badValues(description: string) {
  return invalidArgument([{ field: "template.values", description }]);
}
