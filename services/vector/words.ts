/** Texts to words, for the built-in embedding and for the ranking by words alike. Pure. */

/** Words longer than this are cut, in UTF-16 code units: nobody looks for the rest. */
const maxWord = 64;

/**
 * The words of a text, in order and in lower case: runs of letters and digits, and the parts of names in camel case besides the names. Accents
 * are dropped, so that `Café` is `cafe`.
 */
export function wordsOf(text: string): string[] {
  const plain = text.normalize("NFKD").replaceAll(/\p{M}+/gu, "");
  const words: string[] = [];
  for (const [run] of plain.matchAll(/[\p{L}\p{N}]+/gu)) {
    words.push(run.slice(0, maxWord).toLowerCase());
    if (!/\p{Ll}\p{Lu}/u.test(run)) continue;
    for (const part of run.split(/(?<=\p{Ll})(?=\p{Lu})/u)) words.push(part.slice(0, maxWord).toLowerCase());
  }
  return words;
}

/** A word without the endings of English plurals: `policies` is `policy`, `retries` is `retry`, `ports` is `port`. After Harman's S stemmer. */
export function singular(word: string): string {
  if (word.length < 4 || !word.endsWith("s")) return word;
  if (word.endsWith("ies") && !/[ae]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (word.endsWith("us") || word.endsWith("ss")) return word;
  return word.slice(0, -1);
}

/** A 32-bit hash of a text by its UTF-16 code units (FNV-1a, with the final mixing of MurmurHash3). The same everywhere and for ever. */
export function hashOf(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
