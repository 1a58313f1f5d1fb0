/** How often a classifier is right, from its logits. */

/**
 * The rank of the right class of each image: 0 where its logit is the largest; classes of the same logit come before it.
 *
 * @param logits [n, classes]
 * @param labels [n] in 0 … classes - 1
 */
export function ranksOf(logits: Float32Array, labels: ArrayLike<number>, classes: number): number[] {
  return Array.from({ length: labels.length }, (_, i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const own = row[labels[i]!]!;
    return row.reduce((above, logit, k) => above + Number(k !== labels[i] && !(logit < own)), 0);
  });
}

/** Top-5 of no more classes is always right, and says nothing. */
export const TOP5_CLASSES = 6;

/** The share of ranks below k: top-k accuracy, 0..1. */
export function topK(ranks: readonly number[], k: number): number {
  return ranks.filter((rank) => rank < k).length / ranks.length;
}

/** The accuracy of naming the k most frequent of the `known` labels, whatever the image: what can be had without looking. */
export function blindTopK(
  known: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
  k: number,
): number {
  const counts = new Float64Array(classes);
  for (const label of Array.from(known)) counts[label]! += 1;
  const most = Array.from(counts.keys()).sort((a, b) => counts[b]! - counts[a]! || a - b);
  const named = new Set(most.slice(0, k));
  return Array.from(labels).filter((label) => named.has(label)).length / labels.length;
}
