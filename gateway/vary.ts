/** The header Vary (RFC 9110, section 12.5.5), to which several steps add. */

/** Notes that the answer depends on these request headers. @param names `Accept, Authorization` */
export function varyBy(headers: Record<string, string>, names: string): void {
  const listed = headers.vary === undefined ? [] : headers.vary.split(", ");
  const added = names.split(", ").filter((name) => !listed.includes(name));
  headers.vary = [...listed, ...added].join(", ");
}
