/**
 * Few-shot classification: episodes of a few classes with a few labelled images each. A query belongs to the class whose
 * prototype, the mean of its L2-normalised support, is nearest (Snell et al., arXiv 1703.05175; on frozen features the
 * L2N nearest centroid of SimpleShot, Wang et al., arXiv 1911.04623).
 */
import { errors } from "../errors.ts";
import { Random } from "../random.ts";
import { unitRows, type Features } from "./features.ts";
import { checkLabels, rowsByClass } from "./labels.ts";
import { matMul } from "./mat-mul.ts";

export interface FewShotOptions {
  /** What classes are learned from. */
  readonly support: Features;
  readonly supportLabels: ArrayLike<number>;
  readonly queries: Features;
  readonly queryLabels: ArrayLike<number>;
  readonly numClasses: number;
  /** Classes of an episode. */
  readonly ways: number;
  /** Support images of each class. */
  readonly shots: number;
  /** Queries of each class, at most. */
  readonly queriesPerClass: number;
  readonly episodes: number;
  readonly seed: number;
}

export interface FewShotResult {
  /** Mean accuracy of the episodes, 0..1. */
  readonly accuracy: number;
  /** Half the width of its 95 % confidence interval, by the normal law over the episodes. */
  readonly interval: number;
  /** [episodes] */
  readonly accuracies: Float64Array;
}

/** Classes with `shots` support images and a query: episodes are drawn of them. */
export function fewShotClasses({
  supportLabels,
  queryLabels,
  numClasses,
  shots,
}: Pick<FewShotOptions, "supportLabels" | "queryLabels" | "numClasses" | "shots">): number[] {
  const [support, queries] = [supportLabels, queryLabels].map((labels) => rowsByClass(labels, numClasses));
  return Array.from({ length: numClasses }, (_, c) => c).filter(
    (c) => support![c]!.length >= shots && queries![c]!.length > 0,
  );
}

/**
 * An episode depends on the seed and its number alone. Equal distances go to the class that was drawn first.
 *
 * @throws EVAL_INVALID for labels of another number or range, fewer classes than ways, or features not finite
 */
export function fewShot(options: FewShotOptions): FewShotResult {
  const { supportLabels, queryLabels, numClasses, ways, shots, queriesPerClass, episodes, seed } = options;
  checkLabels("few-shot", "supportLabels", supportLabels, options.support.count, numClasses);
  checkLabels("few-shot", "queryLabels", queryLabels, options.queries.count, numClasses);
  const classes = fewShotClasses(options);
  if (!(ways >= 2 && ways <= classes.length)) {
    throw errors.evalInvalid(
      "few-shot",
      `${ways} ways, and ${classes.length} classes with ${shots} labelled images and a query`,
      "ask for fewer ways or shots, from two ways on",
    );
  }
  if (!(episodes >= 2)) throw errors.evalInvalid("few-shot", `${episodes} episodes`, "draw 2 or more");
  const support = unitRows(options.support, "support");
  const queries = unitRows(options.queries, "queries");
  const [supportRows, queryRows] = [supportLabels, queryLabels].map((labels) =>
    rowsByClass(labels, numClasses),
  ) as [number[][], number[][]];
  const accuracies = Float64Array.from({ length: episodes }, (_, episode) => {
    const random = new Random(seed, "few-shot", ways, shots, episode);
    const drawn = sample(classes, ways, random);
    const prototypes = drawn.map((c) => mean(support, sample(supportRows[c]!, shots, random)));
    const asked = drawn.map((c) => sample(queryRows[c]!, queriesPerClass, random));
    return episodeAccuracy(queries, prototypes, asked);
  });
  const accuracy = accuracies.reduce((sum, value) => sum + value, 0) / episodes;
  const variance = accuracies.reduce((sum, value) => sum + (value - accuracy) ** 2, 0) / (episodes - 1);
  return { accuracy, interval: 1.96 * Math.sqrt(variance / episodes), accuracies };
}

/** @param asked the query rows of each prototype's class */
function episodeAccuracy(
  queries: Features,
  prototypes: readonly Float64Array[],
  asked: readonly (readonly number[])[],
): number {
  const { data, dim } = queries;
  const ways = prototypes.length;
  const rows = asked.flat();
  const points = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => points.set(data.subarray(row * dim, (row + 1) * dim), i * dim));
  const centers = new Float32Array(ways * dim);
  prototypes.forEach((prototype, way) => centers.set(prototype, way * dim));
  const products = matMul(points, centers, rows.length, ways, dim);
  // |x - c|^2 without |x|^2, which all ways share.
  const halves = prototypes.map((prototype) => prototype.reduce((sum, value) => sum + value * value, 0) / 2);
  const own = asked.flatMap((list, way) => list.map(() => way));
  const hits = own.filter((way, i) => {
    const scores = halves.map((half, other) => products[i * ways + other]! - half);
    return scores.indexOf(Math.max(...scores)) === way;
  });
  return hits.length / rows.length;
}

function mean({ data, dim }: Features, rows: readonly number[]): Float64Array {
  const sum = new Float64Array(dim);
  for (const row of rows) for (let d = 0; d < dim; d++) sum[d]! += data[row * dim + d]! / rows.length;
  return sum;
}

/** `count` of the values, or all, without replacement. */
function sample(values: readonly number[], count: number, random: Random): number[] {
  return Array.from(random.permutation(values.length).subarray(0, count), (i) => values[i]!);
}
