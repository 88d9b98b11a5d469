/** Vectors as embeddings have them, the same every time. */
import { normalFrom, randomFrom } from "./vector.fixture.ts";

/**
 * Vectors that differ in 32 directions and scatter a little in all: models that embed texts give vectors whose intrinsic dimension is of that order,
 * however many numbers they have. (Where all 256 are independent no two vectors are near each other, and "nearest" says nothing.)
 */
export function latentVectors(count: number, queries: number, dimensions: number, latent = 32, noise = 0.05) {
  const normal = normalFrom(randomFrom(42));
  const directions = Array.from({ length: latent }, () => Float32Array.from({ length: dimensions }, normal));
  const one = () => {
    const vector = Float32Array.from({ length: dimensions }, () => noise * normal() * Math.sqrt(latent));
    for (const direction of directions) {
      const weight = normal();
      for (let at = 0; at < dimensions; at++) vector[at] = (vector[at] ?? 0) + weight * (direction[at] ?? 0);
    }
    return vector;
  };
  return { items: Array.from({ length: count }, one), queries: Array.from({ length: queries }, one) };
}
