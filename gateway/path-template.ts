/**
 * The path templates of google/api/http.proto.
 *
 *     Template  = "/" Segments [ Verb ] ;
 *     Segments  = Segment { "/" Segment } ;
 *     Segment   = "*" | "**" | LITERAL | Variable ;
 *     Variable  = "{" FieldPath [ "=" Segments ] "}" ;
 *     FieldPath = IDENT { "." IDENT } ;
 *     Verb      = ":" LITERAL ;
 */

/** One segment of a path: a text (already decoded), any single segment but an empty one, or zero and more segments. */
export type Segment = { readonly kind: "literal"; readonly value: string } | { readonly kind: "any" } | { readonly kind: "deep" };

/** A variable of a template and the segments that it binds. */
export interface TemplateVariable {
  /** The names of the field path, as written. */
  readonly fieldPath: readonly string[];
  /** The index of the first segment that it binds. */
  readonly first: number;
  /** How many segments of the template it binds. */
  readonly count: number;
  /** True when it may bind more than one segment of a path; `%2F` then stays as sent. */
  readonly multi: boolean;
  /** Where it stands in the template, from 1. */
  readonly column: number;
}

/** A parsed template. */
export interface PathTemplate {
  readonly text: string;
  readonly segments: readonly Segment[];
  /** The verb without its colon, decoded; empty when there is none. */
  readonly verb: string;
  readonly variables: readonly TemplateVariable[];
}

/** A template that breaks the grammar, and where: columns count from 1. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  readonly column: number;

  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

/** What a template may do beyond the grammar's comment text. */
export interface TemplateOptions {
  /** Permits literals after `**`, as in `/files/** /raw` without the blank. Default: no. */
  readonly allowSuffixAfterDeepWildcard?: boolean;
}

/**
 * Parses a template.
 *
 * @throws TemplateError at the first thing that breaks the grammar.
 */
export function parsePathTemplate(text: string, options: TemplateOptions = {}): PathTemplate {
  return new TemplateParser(text, options.allowSuffixAfterDeepWildcard === true).parse();
}

/** The template's path with every variable taken away: two templates of one shape match the same paths. */
export function shapeOf(template: PathTemplate): string {
  const shapes = template.segments.map((segment) =>
    segment.kind === "literal" ? escaped(segment.value) : segment.kind === "any" ? "*" : "**",
  );
  return `/${shapes.join("/")}${template.verb === "" ? "" : `:${escaped(template.verb)}`}`;
}

function escaped(literal: string): string {
  return encodeURIComponent(literal).replaceAll("*", "%2A");
}

class TemplateParser {
  readonly #text: string;
  readonly #suffixAllowed: boolean;
  readonly #segments: Segment[] = [];
  readonly #variables: TemplateVariable[] = [];
  #at = 0;

  constructor(text: string, suffixAllowed: boolean) {
    this.#text = text;
    this.#suffixAllowed = suffixAllowed;
  }

  parse(): PathTemplate {
    if (this.#peek() !== "/") this.#fail("a template starts with a slash");
    this.#at++;
    this.#parseSegments(false);
    const verb = this.#peek() === ":" ? this.#parseVerb() : "";
    if (this.#at < this.#text.length) this.#fail(`expected "/", ":" or the end, got ${JSON.stringify(this.#peek())}`);
    return { text: this.#text, segments: this.#segments, verb, variables: this.#variables };
  }

  #parseSegments(inVariable: boolean): void {
    for (;;) {
      this.#parseSegment(inVariable);
      if (this.#peek() !== "/") return;
      this.#at++;
      if (this.#at === this.#text.length) this.#fail("a template does not end with a slash", this.#at - 1);
    }
  }

  #parseSegment(inVariable: boolean): void {
    const start = this.#at;
    switch (this.#peek()) {
      case "{":
        if (inVariable) this.#fail("a variable does not hold another variable");
        this.#parseVariable();
        break;
      case "*":
        this.#parseWildcard(start);
        break;
      default:
        this.#parseLiteral(start);
    }
    const next = this.#peek();
    if (next === "{") this.#fail("a variable takes a whole segment, so nothing may stand before it but a slash");
    if (next === "*") this.#fail('"*" and "**" take a whole segment, so nothing may stand before them but a slash');
    if (next === "" || next === "/" || next === ":" || (next === "}" && inVariable)) return;
    if (next === "}") this.#fail('"}" without "{" before it');
    this.#fail(`a variable or wildcard takes a whole segment, got ${JSON.stringify(next)} after it`);
  }

  #parseWildcard(start: number): void {
    this.#at += this.#text.startsWith("**", start) ? 2 : 1;
    this.#add(this.#at - start === 2 ? { kind: "deep" } : { kind: "any" }, start);
  }

  #parseLiteral(start: number): void {
    while (isLiteral(this.#peek())) this.#at++;
    const next = this.#peek();
    if (this.#at > start) {
      this.#add({ kind: "literal", value: this.#decode(start, this.#at) }, start);
      if (next !== "" && !"/:{}*".includes(next)) this.#failCharacter(next);
      return;
    }
    if (next !== "" && !"/:}".includes(next)) this.#failCharacter(next);
    this.#fail("expected a segment, got none: empty segments never match");
  }

  #parseVariable(): void {
    const column = this.#at + 1;
    this.#at++;
    const fieldPath = this.#parseFieldPath();
    if (this.#variables.some((other) => other.fieldPath.join(".") === fieldPath.join("."))) {
      this.#fail(`the variable "${fieldPath.join(".")}" stands here for the second time`, column - 1);
    }
    const first = this.#segments.length;
    if (this.#peek() === "=") {
      this.#at++;
      this.#parseSegments(true);
    } else if (this.#peek() === "}") {
      this.#add({ kind: "any" }, column - 1);
    }
    if (this.#peek() === ":") this.#fail('a verb stands at the end of the template, after every "}"');
    if (this.#peek() !== "}") this.#fail(`expected ".", "=" or "}" in a variable, got ${this.#got()}`);
    this.#at++;
    const bound = this.#segments.slice(first);
    const multi = bound.length > 1 || bound.some((segment) => segment.kind === "deep");
    this.#variables.push({ fieldPath, first, count: bound.length, multi, column });
  }

  #parseFieldPath(): string[] {
    const names: string[] = [];
    for (;;) {
      const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(this.#text.slice(this.#at))?.[0];
      if (name === undefined) this.#fail(`expected the name of a field, got ${this.#got()}`);
      names.push(name);
      this.#at += name.length;
      if (this.#peek() !== ".") return names;
      this.#at++;
    }
  }

  #parseVerb(): string {
    const start = ++this.#at;
    const rest = this.#text.slice(start);
    if (rest === "") this.#fail("a verb is not empty");
    const slash = rest.indexOf("/");
    if (slash >= 0) this.#fail("a verb stands at the end of the template, got a slash after it", start + slash);
    for (const character of rest) {
      if (!isLiteral(character))
        this.#fail(`a verb is a text without ${JSON.stringify(character)}`, start + rest.indexOf(character));
    }
    this.#at = this.#text.length;
    return this.#decode(start, this.#at);
  }

  #add(segment: Segment, start: number): void {
    const deep = this.#segments.some(({ kind }) => kind === "deep");
    if (deep && !this.#suffixAllowed) this.#fail('nothing but a verb may follow "**"', start);
    if (deep && segment.kind !== "literal") this.#fail('nothing but literals and a verb may follow "**"', start);
    this.#segments.push(segment);
  }

  #decode(start: number, end: number): string {
    const text = this.#text.slice(start, end);
    const broken = text.search(/%(?![0-9A-Fa-f]{2})/);
    if (broken >= 0) this.#fail('expected two hexadecimal digits after "%"', start + broken);
    try {
      return decodeURIComponent(text);
    } catch {
      return this.#fail("the percent escapes are not valid UTF-8", start + text.indexOf("%"));
    }
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #got(): string {
    return this.#at < this.#text.length ? JSON.stringify(this.#peek()) : "the end";
  }

  #failCharacter(character: string): never {
    return this.#fail(`a path cannot hold ${JSON.stringify(character)}; write its percent escape`);
  }

  #fail(message: string, at = this.#at): never {
    throw new TemplateError(at + 1, message);
  }
}

/** RFC 3986 path characters without those that the grammar uses; text beyond ASCII is taken as what it decodes to. */
function isLiteral(character: string): boolean {
  return character !== "" && !/[/:{}*?#[\]\\^`|<>"\s]/.test(character) && character >= "!" && character !== "\x7f";
}
