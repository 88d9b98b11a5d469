/** Methods that go away: the headers Deprecation (RFC 9745) and Sunset (RFC 8594). */
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { deprecation } from "#gen/heddle/v1/deprecation_pb.ts";

/**
 * The headers of every answer of a method: those of its option heddle.v1.deprecation, and for one that is only marked
 * `deprecated = true` none but Deprecation, at the moment when nobody knows: the epoch.
 */
export function deprecationHeaders(method: DescMethod): Readonly<Record<string, string>> {
  let headers = headersOf.get(method);
  if (headers === undefined) {
    headers = compile(method);
    headersOf.set(method, headers);
  }
  return headers;
}

/** What is wrong with a method's option, as a sentence without its subject. */
export function deprecationMistakes(method: DescMethod): string[] {
  if (!hasOption(method, deprecation)) return [];
  const { since, sunset, link } = getOption(method, deprecation);
  const mistakes: string[] = [];
  if (since === undefined) mistakes.push("heddle.v1.deprecation: expected since");
  if (since !== undefined && sunset !== undefined && secondsOf(sunset) < secondsOf(since)) {
    mistakes.push("heddle.v1.deprecation: expected sunset after since");
  }
  if (link !== "" && !/^https?:\/\/[\x21-\x3b\x3d\x3f-\x7e]+$/.test(link)) {
    mistakes.push(`heddle.v1.deprecation: expected an http or https URL as link, got ${JSON.stringify(link)}`);
  }
  return mistakes;
}

const headersOf = new WeakMap<DescMethod, Readonly<Record<string, string>>>();

function compile(method: DescMethod): Record<string, string> {
  if (!hasOption(method, deprecation)) return method.deprecated ? { deprecation: "@0" } : {};
  const { since, sunset, link } = getOption(method, deprecation);
  return {
    deprecation: `@${since === undefined ? 0 : secondsOf(since)}`,
    ...(sunset === undefined ? {} : { sunset: timestampDate(sunset).toUTCString() }),
    ...(link === "" ? {} : { link: `<${link}>; rel="deprecation"; type="text/html"` }),
  };
}

function secondsOf(time: Timestamp): bigint {
  return time.seconds;
}
