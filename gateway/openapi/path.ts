/**
 * Path templates of google.api.http as OpenAPI knows them, where a parameter is one segment and nothing else.
 *
 * A variable over one wildcard keeps its name, between the literals that belong to it: `{name=shelves/*}` becomes
 * `shelves/{name}`. One over several becomes `{name.1}`, `{name.2}`; a wildcard without a variable `{segment.1}`. `**` becomes one
 * parameter that may hold slashes: OpenAPI 3.1 has no word for that.
 */
import type { PathTemplate, Segment } from "../path-template.ts";

/** One parameter of a path. */
export interface PathParameter {
  readonly name: string;
  /** The variable of the template that it is a part of; undefined for a wildcard that binds nothing. */
  readonly variable: number | undefined;
  /** The variable's own expression, when the parameter is only a part of it. */
  readonly partOf: string | undefined;
  /** Zero or more segments instead of one. */
  readonly deep: boolean;
}

/** A path as a key of `paths`, and what stands in it. */
export interface OpenApiPath {
  readonly path: string;
  readonly parameters: readonly PathParameter[];
}

/** The path of a template. */
export function openApiPath(template: PathTemplate): OpenApiPath {
  const names = namesOf(template);
  const parameters: PathParameter[] = [];
  const parts = template.segments.map((segment, index) => {
    const parameter = names.get(index);
    if (segment.kind === "literal" || parameter === undefined) return segment.kind === "literal" ? escaped(segment.value) : "";
    parameters.push(parameter);
    return `{${parameter.name}}`;
  });
  const verb = template.verb === "" ? "" : `:${escaped(template.verb)}`;
  return { path: `/${parts.join("/")}${verb}`, parameters };
}

/** By the index of the segment. */
function namesOf({ segments, variables }: PathTemplate): Map<number, PathParameter> {
  const found = new Map<number, PathParameter>();
  for (const [variable, { fieldPath, first, count }] of variables.entries()) {
    const name = fieldPath.join(".");
    const wild = range(first, count).filter((index) => segments[index]?.kind !== "literal");
    const whole = count === 1;
    const partOf = whole
      ? undefined
      : segments
          .slice(first, first + count)
          .map(textOf)
          .join("/");
    for (const [part, index] of wild.entries()) {
      const deep = segments[index]?.kind === "deep";
      found.set(index, { name: wild.length === 1 ? name : `${name}.${part + 1}`, variable, partOf, deep });
    }
  }
  let unnamed = 0;
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "literal" || found.has(index)) continue;
    unnamed++;
    found.set(index, { name: `segment.${unnamed}`, variable: undefined, partOf: undefined, deep: segment.kind === "deep" });
  }
  return found;
}

function textOf(segment: Segment): string {
  return segment.kind === "literal" ? segment.value : segment.kind === "any" ? "*" : "**";
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

/** Percent escapes for what a path cannot hold as it is (RFC 3986, section 3.3). */
function escaped(literal: string): string {
  return encodeURIComponent(literal).replaceAll(/%(40|24|26|2B|2C|3B|3D)/g, (text) => decodeURIComponent(text));
}
