/**
 * Same-item retrieval: query i must find bank row i among all bank rows by cosine similarity. Queries and
 * bank may be two drawings of each item, or two views of each image.
 */
import { errors } from "../errors.ts";
import type { Features } from "./features.ts";
import type { MatMul } from "./mat-mul.ts";
import { forEachQuery, selectBest, type Neighbours } from "./neighbours.ts";

export interface RetrievalResult {
  /** Share of queries whose most similar bank row is their own, 0..1. */
  readonly top1: number;
  /** Share whose own row is among the five most similar. */
  readonly recall5: number;
  /** Mean of 1 / rank, 0..1. */
  readonly meanReciprocalRank: number;
  /** [queries] rank of the own row, 1 is best; a row of equal similarity and lower index comes before. */
  readonly ranks: Int32Array;
  /** The most similar bank rows of each query, for pictures. */
  readonly neighbours: Neighbours;
}

/**
 * @param options.bank row i belongs to query i; rows beyond the queries are distractors.
 * @param options.keep neighbours kept per query (default 5, at most the bank's size).
 * @throws EVAL_INVALID without queries, for a bank smaller than the queries, features not finite.
 */
export async function retrieval(options: {
  queries: Features;
  bank: Features;
  keep?: number;
  matMul?: MatMul;
}): Promise<RetrievalResult> {
  const { queries, bank, keep = 5, matMul } = options;
  if (queries.count < 1 || bank.count < queries.count) {
    const problem = `${queries.count} queries for a bank of ${bank.count}`;
    throw errors.evalInvalid("retrieval", problem, "give at least one query, and a bank row for each");
  }
  const k = Math.min(keep, bank.count);
  const indices = new Int32Array(queries.count * k);
  const similarities = new Float32Array(queries.count * k);
  const ranks = new Int32Array(queries.count);
  const visit = (query: number, row: Float32Array) => {
    const own = row[query]!;
    let rank = 1;
    for (let j = 0; j < row.length; j++) if (row[j]! > own || (row[j]! === own && j < query)) rank++;
    ranks[query] = rank;
    selectBest(row, k, indices, similarities, query * k);
  };
  await forEachQuery(queries, bank, visit, matMul);

  const share = (worst: number) => ranks.filter((rank) => rank <= worst).length / queries.count;
  const reciprocals = ranks.reduce((sum, rank) => sum + 1 / rank, 0);
  return {
    top1: share(1),
    recall5: share(5),
    meanReciprocalRank: reciprocals / queries.count,
    ranks,
    neighbours: { k, indices, similarities },
  };
}
