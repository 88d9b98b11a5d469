/** Which passwords are refused (NIST SP 800-63B, 5.1.1.2: length counts, composition does not, known ones are out). */
import { commonPasswords } from "./common-passwords.ts";

/** Why `password` is refused for the user with `email` and `name`; undefined when it is good. Pure. */
export function weaknessOf(password: string, email: string, name: string): string | undefined {
  const plain = password.normalize("NFKC").toLowerCase();
  if ([...plain].length < 8) return "is shorter than 8 characters";
  if (plain.trim() === "") return "consists of blanks";
  if (new Set(plain).size < 3) return "repeats one or two characters";
  if (isSequence(plain)) return "is a sequence such as 12345678";
  if (commonPasswords.has(plain) || commonPasswords.has(withoutEnds(plain))) return "is among the most used passwords";
  const mine = [email, email.split("@")[0] ?? "", name, name.replaceAll(/\s+/g, "")].map((text) => text.toLowerCase());
  if (mine.some((text) => text.length >= 3 && withoutEnds(plain) === withoutEnds(text))) return "is the address or the name";
  return undefined;
}

/** Each character the next, or the one before, of the last: abcdefgh, 87654321. */
function isSequence(text: string): boolean {
  const codes = [...text].map((char) => char.codePointAt(0) ?? 0);
  return [1, -1].some((step) => codes.every((code, index) => index === 0 || code === (codes[index - 1] ?? 0) + step));
}

/** What is left of password123! and 1Password. */
function withoutEnds(text: string): string {
  return text.replace(/^[\d\W_]+|[\d\W_]+$/g, "");
}
