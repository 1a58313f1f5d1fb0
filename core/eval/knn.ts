/**
 * Weighted k-NN classification of frozen features, the protocol of Wu et al. (arXiv 1805.01978)
 * that DINO (arXiv 2104.14294) reports: cosine similarity of L2-normalised features, and each of the k
 * neighbours votes for its class with weight exp(similarity / T).
 */
import { errors } from "../errors.ts";
import { TOP5_CLASSES } from "./classification.ts";
import type { Features } from "./features.ts";
import { checkLabels } from "./labels.ts";
import type { MatMul } from "./mat-mul.ts";
import { nearestNeighbours, type Neighbours } from "./neighbours.ts";

/** T of the vote weight exp(similarity / T). */
export const KNN_TEMPERATURE = 0.07;

export interface KnnResult {
  /** Share of queries whose class got the most votes, 0..1. */
  readonly top1: number;
  /** Share whose class is among the five with the most votes; undefined up to five classes. */
  readonly top5: number | undefined;
  /** [queries] the class predicted for each. */
  readonly predictions: Int32Array;
}

interface Voting {
  readonly queryLabels: ArrayLike<number>;
  readonly bankLabels: ArrayLike<number>;
  readonly numClasses: number;
  /** T, by default 0.07. */
  readonly temperature?: number;
}

/**
 * Classifies `queries` by their k nearest rows of `bank`.
 * Equal similarities are ranked by lower bank index, equal votes by lower class.
 *
 * @param options.excludeSelf leave-one-out: queries and bank are the same images.
 * @throws EVAL_INVALID for labels outside 0..numClasses-1, a bank smaller than k, features not finite.
 */
export async function knnClassify(
  options: Voting & { queries: Features; bank: Features; k: number; excludeSelf?: boolean; matMul?: MatMul },
): Promise<KnnResult> {
  const { queries, bank, queryLabels, bankLabels, numClasses } = options;
  checkLabels("k-NN", "queryLabels", queryLabels, queries.count, numClasses);
  checkLabels("k-NN", "bankLabels", bankLabels, bank.count, numClasses);
  return knnVote(await nearestNeighbours(options), options);
}

/**
 * The vote alone, by the first `k` of neighbours found before: several k from one search.
 *
 * @throws EVAL_INVALID for a temperature that is not positive, or more neighbours than were found.
 */
export function knnVote(neighbours: Neighbours, options: Voting & { k?: number }): KnnResult {
  const { queryLabels, bankLabels, numClasses, temperature = KNN_TEMPERATURE, k = neighbours.k } = options;
  if (!(temperature > 0))
    throw errors.evalInvalid("k-NN", `temperature ${temperature}`, "choose one above 0");
  if (k > neighbours.k) {
    throw errors.evalInvalid(
      "k-NN",
      `k = ${k} of ${neighbours.k} neighbours`,
      "search more neighbours first",
    );
  }
  const queries = neighbours.indices.length / neighbours.k;
  const predictions = new Int32Array(queries);
  const votes = new Float64Array(numClasses);
  let hits1 = 0;
  let hits5 = 0;
  for (let query = 0; query < queries; query++) {
    const at = query * neighbours.k;
    votes.fill(0);
    // Relative to the best neighbour: the same shares, and no temperature overflows.
    const best = neighbours.similarities[at]!;
    for (let i = at; i < at + k; i++) {
      votes[bankLabels[neighbours.indices[i]!]!]! += Math.exp(
        (neighbours.similarities[i]! - best) / temperature,
      );
    }
    predictions[query] = votes.indexOf(Math.max(...votes));
    const place = placeOf(queryLabels[query]!, votes);
    if (place < 1) hits1++;
    if (place < 5) hits5++;
  }
  return {
    top1: hits1 / queries,
    top5: numClasses >= TOP5_CLASSES ? hits5 / queries : undefined,
    predictions,
  };
}

/** How many classes come before `label`; infinite when no neighbour voted for it. */
function placeOf(label: number, votes: Float64Array): number {
  const own = votes[label]!;
  if (own === 0) return Infinity;
  let place = 0;
  for (let c = 0; c < votes.length; c++) {
    if (votes[c]! > own || (votes[c]! === own && c < label)) place++;
  }
  return place;
}
