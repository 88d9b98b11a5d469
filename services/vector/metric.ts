/** How two vectors compare. */

/** The metrics by the names that the database has. */
export type Metric = "cosine" | "inner-product" | "squared-euclidean";

/** What the library that compares calls them. Cosine works on vectors of length 1, where it is the inner product. */
export function kernelOf(metric: Metric): "ip" | "l2sq" {
  return metric === "squared-euclidean" ? "l2sq" : "ip";
}

/** The distance of two vectors of the same length; for cosine both have length 1 already. */
export function distanceOf(metric: Metric, a: Float32Array, b: Float32Array): number {
  let sum = 0;
  if (metric === "squared-euclidean") {
    for (let at = 0; at < a.length; at++) {
      const difference = (a[at] ?? 0) - (b[at] ?? 0);
      sum += difference * difference;
    }
    return sum;
  }
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return 1 - sum;
}

/** Greater is better: 1 - distance, or the negative of a squared Euclidean distance. */
export function similarityOf(metric: Metric, distance: number): number {
  return metric === "squared-euclidean" ? -distance : 1 - distance;
}
