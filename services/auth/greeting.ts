/** How a mail addresses somebody. */

/**
 * The name in a mail's first line: `name` where it reads as a name, else the address. Pure.
 *
 * Anybody can register anybody's address, so the mail may go to a stranger, in our name and with a text of the sender's choice in this
 * one place: a link or a second line would make it theirs.
 */
export function greetingName(name: string, email: string): string {
  return nameLike.test(name) && !linkLike.test(name) ? name : email;
}

/** Letters of any script with their marks, digits, blanks, and what stands between the parts of names: at most 60 of them. */
const nameLike = /^[\p{L}\p{M}\p{N} .,'’()-]{1,60}$/u;

/** Mail programs make links of `evil.example`, with nothing before it. */
const linkLike = /[\p{L}\p{N}]\.[\p{L}\p{N}]{2}/u;
