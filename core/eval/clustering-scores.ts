/** How well clusters agree with classes, by counts alone: no cluster has a name. */
import { errors } from "../errors.ts";

/** Rows of each pair of a class and a cluster, and of each alone. */
interface Contingency {
  readonly n: number;
  readonly pairs: readonly number[];
  readonly classes: readonly number[];
  readonly clusters: readonly number[];
  /** For each pair that occurs, the sizes of its class and its cluster. */
  readonly sizes: readonly (readonly [number, number])[];
}

function contingency(labels: ArrayLike<number>, clusters: ArrayLike<number>): Contingency {
  const n = labels.length;
  if (clusters.length !== n || n === 0) {
    throw errors.evalInvalid(
      "clustering",
      `${clusters.length} assignments for ${n} labels`,
      "give one of each per row, and one row at least",
    );
  }
  const pairs = new Map<string, { count: number; label: number; cluster: number }>();
  const byLabel = new Map<number, number>();
  const byCluster = new Map<number, number>();
  for (let i = 0; i < n; i++) {
    const [label, cluster] = [labels[i]!, clusters[i]!];
    const key = `${label},${cluster}`;
    pairs.set(key, { label, cluster, count: (pairs.get(key)?.count ?? 0) + 1 });
    byLabel.set(label, (byLabel.get(label) ?? 0) + 1);
    byCluster.set(cluster, (byCluster.get(cluster) ?? 0) + 1);
  }
  const found = [...pairs.values()];
  return {
    n,
    pairs: found.map(({ count }) => count),
    classes: [...byLabel.values()],
    clusters: [...byCluster.values()],
    sizes: found.map(({ label, cluster }) => [byLabel.get(label)!, byCluster.get(cluster)!] as const),
  };
}

/**
 * Normalised mutual information I(U; V) / mean(H(U), H(V)), 0..1: scikit-learn's normalized_mutual_info_score. It grows
 * with the number of clusters also where they are drawn at random.
 *
 * @throws EVAL_INVALID for lists of different lengths, or empty ones
 */
export function normalisedMutualInformation(labels: ArrayLike<number>, clusters: ArrayLike<number>): number {
  const table = contingency(labels, clusters);
  const { n, pairs, sizes } = table;
  const oneEach = table.classes.length === 1 && table.clusters.length === 1;
  if (oneEach) return 1;
  const information = pairs.reduce((sum, count, i) => {
    const [a, b] = sizes[i]!;
    return sum + (count / n) * (Math.log(count / a) + Math.log(n / b));
  }, 0);
  const entropy = (counts: readonly number[]) =>
    -counts.reduce((sum, count) => sum + (count / n) * Math.log(count / n), 0);
  // What is left of 0 by rounding is 0.
  if (information <= Number.EPSILON) return 0;
  return information / ((entropy(table.classes) + entropy(table.clusters)) / 2);
}

/**
 * Rand index of pairs of rows, adjusted for chance (Hubert and Arabie 1985): 1 for the same partition, 0 as by chance,
 * less where worse, down to -0.5; scikit-learn's adjusted_rand_score.
 *
 * @throws EVAL_INVALID for lists of different lengths, or empty ones
 */
export function adjustedRandIndex(labels: ArrayLike<number>, clusters: ArrayLike<number>): number {
  const { n, pairs, ...counts } = contingency(labels, clusters);
  const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
  const both = squares(pairs) - n;
  const classOnly = squares(counts.classes) - squares(pairs);
  const clusterOnly = squares(counts.clusters) - squares(pairs);
  const neither = n * n - n - both - classOnly - clusterOnly;
  if (classOnly === 0 && clusterOnly === 0) return 1;
  return (
    (2 * (both * neither - classOnly * clusterOnly)) /
    ((both + classOnly) * (classOnly + neither) + (both + clusterOnly) * (clusterOnly + neither))
  );
}
