/** How one name is written in a template's places. */
export interface Names {
  /** `price-list`, for `__name__`. */
  readonly name: string;
  /** `price_list`, for `__package__`. */
  readonly packageName: string;
  /** `PriceList`, for `__Name__`. */
  readonly pascal: string;
  /** `priceList`, for `__nAme__`. */
  readonly camel: string;
}

/** The forms of a name; undefined for one that is not words in lower case with dashes between them, of at most 30 characters. */
export function namesOf(name: string): Names | undefined {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 30) return undefined;
  const pascal = name.replaceAll(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return { name, packageName: name.replaceAll("-", "_"), pascal, camel: pascal[0]?.toLowerCase() + pascal.slice(1) };
}

/** A template with its places filled: those of the name, and `__key__` for each of `more`. */
export function filled(
  template: string,
  { name, packageName, pascal, camel }: Names,
  more: Readonly<Record<string, string>>,
): string {
  const places = { package: packageName, name, Name: pascal, nAme: camel, ...more };
  return Object.entries(places).reduce((text, [key, value]) => text.replaceAll(`__${key}__`, value), template);
}
