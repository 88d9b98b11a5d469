/** The SVG that echarts writes, made the same every time, accessible, and fit to stand in a page. */

/** What the document is to be called. */
export interface SvgNames {
  /** Begins every id in the document. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
}

/**
 * Makes ids that depend on the chart alone, where echarts counts through the process; takes out styles for a mouse, which
 * would hold for the whole page; adds role, title and desc (https://www.w3.org/TR/svg-aam-1.0/).
 *
 * Attributes are told from text by their quotes: echarts writes those of texts as &quot;.
 */
export function soundSvg(svg: string, { id, title, description }: SvgNames): string {
  const names = `role="img" aria-labelledby="${id}-title ${id}-desc"`;
  const texts = `\n<title id="${id}-title">${escaped(title)}</title>\n<desc id="${id}-desc">${escaped(description)}</desc>`;
  return svg
    .replace(/<style ?>.*?<\/style>\n?/s, "")
    .replaceAll(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, "")
    .replaceAll(/( [\w:-]+="(?:url\(#|#)?)zr\d+-/g, `$1${id}-`)
    .replace(/^<svg ([^>]*)>/, (_all, attributes: string) => `<svg ${names} ${attributes}>${texts}`);
}

function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\ufffe\uffff]/gu, " ")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
