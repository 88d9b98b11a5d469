/** The thread that embeds many texts at once. */
import { move } from "piscina";
import { embedHashed } from "./hashed-embedding.ts";

/** What to embed. */
export interface Task {
  readonly texts: readonly string[];
  readonly dimensions: number;
}

/** The vectors of the texts, behind each other. */
export default function embedAll({ texts, dimensions }: Task): Float32Array<ArrayBuffer> {
  const vectors = new Float32Array(texts.length * dimensions);
  for (const [at, text] of texts.entries()) vectors.set(embedHashed(text, dimensions), at * dimensions);
  return move(vectors) as unknown as Float32Array<ArrayBuffer>;
}
