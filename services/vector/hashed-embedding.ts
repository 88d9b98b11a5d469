/**
 * The built-in embedding: hashed n-grams, weighted by how rare a word is. Pure: a text has the same vector everywhere and for ever, so a change
 * of anything here is a new model name.
 *
 * A feature is a word, a pair of neighbouring words, or 3 to 5 letters of a word with its borders (`<mesh>`: `<me`, `mes`, `esh`, ...). Features
 * of the same text at different places count 1 + ln(times); each is added to two numbers of the vector, chosen with their signs by its hash
 * (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009), and the vector is scaled to length 1.
 */
import { commonWords } from "./common-words.ts";
import { hashOf, singular, wordsOf } from "./words.ts";

/** The model's name. */
export const hashedModel = "heddle-hashed-1";

/** How many numbers a vector has when nobody says. */
export const defaultDimensions = 256;

/** How much the pairs of words, and the letters of a word together, count beside the word. */
const pairWeight = 0.4;
const letterWeight = 1;
/** Letters of a word that are looked at. */
const maxLetters = 24;

/** The vector of a text: length 1, or all 0 for a text without a letter or digit. */
export function embedHashed(text: string, dimensions: number): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(dimensions);
  for (const [feature, weight] of featuresOf(text)) {
    for (let seed = 1; seed <= 2; seed++) {
      const hash = hashOf(feature, seed);
      const at = (hash >>> 1) % dimensions;
      vector[at] = (vector[at] ?? 0) + (hash & 1 ? weight : -weight);
    }
  }
  let square = 0;
  for (const value of vector) square += value * value;
  if (square === 0) return vector;
  const scale = 1 / Math.sqrt(square);
  for (let at = 0; at < dimensions; at++) vector[at] = (vector[at] ?? 0) * scale;
  return vector;
}

/** The features of a text with their weights. */
function featuresOf(text: string): Map<string, number> {
  const times = new Map<string, number>();
  const weights = new Map<string, number>();
  const add = (feature: string, weight: number) => {
    times.set(feature, (times.get(feature) ?? 0) + 1);
    weights.set(feature, weight);
  };
  let before = "";
  for (const written of wordsOf(text)) {
    const word = singular(written);
    const rare = rarity(word);
    add(word, rare);
    if (before !== "") add(`${before} ${word}`, pairWeight * Math.sqrt(rare * rarity(before)));
    before = word;
    const bordered = `<${word.slice(0, maxLetters)}>`;
    if (bordered.length < 6) continue;
    const grams = 3 * bordered.length - 9;
    const weight = (letterWeight * rare) / Math.sqrt(grams);
    for (let size = 3; size <= 5; size++) {
      for (let at = 0; at + size <= bordered.length; at++) add(bordered.slice(at, at + size), weight);
    }
  }
  const features = new Map<string, number>();
  for (const [feature, weight] of weights) features.set(feature, weight * (1 + Math.log(times.get(feature) ?? 1)));
  return features;
}

const rankOf = new Map(commonWords.map((word, rank) => [singular(word), rank]));

/** From near 0 for the commonest words to 1 for those on no list: by Zipf's law the logarithm of the rank is that of the inverse frequency. */
function rarity(word: string): number {
  const rank = rankOf.get(word);
  if (rank === undefined) return word.length < 2 ? 0.3 : 1;
  return 0.05 + (0.75 * Math.log(1 + rank)) / Math.log(1 + commonWords.length);
}
