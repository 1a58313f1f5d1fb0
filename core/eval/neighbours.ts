import { errors } from "../errors.ts";
import { unitRows, type Features } from "./features.ts";
import { matMul as plainMatMul, type MatMul } from "./mat-mul.ts";

/** The k most similar bank rows of each query, best first; equal similarities by lower bank index. */
export interface Neighbours {
  readonly k: number;
  /** [queries, k] bank indices. */
  readonly indices: Int32Array;
  /** [queries, k] cosine similarities, -1..1. */
  readonly similarities: Float32Array;
}

/** Queries compared at a time: bounds the memory of the similarities to TILE x bank. */
const TILE = 240;

/** Calls `visit` once per query, in order, with its cosine similarity to every bank row. */
export async function forEachQuery(
  queries: Features,
  bank: Features,
  visit: (query: number, similarities: Float32Array) => void,
  matMul: MatMul = plainMatMul,
): Promise<void> {
  const { dim } = bank;
  if (queries.dim !== dim) {
    throw errors.evalInvalid(
      "features",
      `queries have ${queries.dim} columns, the bank has ${dim}`,
      "make both with the same network and layer",
    );
  }
  const a = unitRows(queries, "queries");
  const b = unitRows(bank, "bank");
  for (let start = 0; start < a.count; start += TILE) {
    const rows = Math.min(TILE, a.count - start);
    const tile = await matMul(a.data.subarray(start * dim, (start + rows) * dim), b.data, rows, b.count, dim);
    for (let row = 0; row < rows; row++)
      visit(start + row, tile.subarray(row * b.count, (row + 1) * b.count));
  }
}

/**
 * Keeps the k best of `similarities` in place of `indices[at…]` and `best[at…]`, skipping one bank row.
 * A later row only displaces an earlier one when it is strictly more similar.
 */
export function selectBest(
  similarities: Float32Array,
  k: number,
  indices: Int32Array,
  best: Float32Array,
  at: number,
  skip = -1,
): void {
  let kept = 0;
  for (let j = 0; j < similarities.length; j++) {
    const s = similarities[j]!;
    if (j === skip || (kept === k && s <= best[at + k - 1]!)) continue;
    let slot = kept < k ? kept++ : k - 1;
    for (; slot > 0 && best[at + slot - 1]! < s; slot--) {
      best[at + slot] = best[at + slot - 1]!;
      indices[at + slot] = indices[at + slot - 1]!;
    }
    best[at + slot] = s;
    indices[at + slot] = j;
  }
}

/**
 * The k nearest bank rows of each query by cosine similarity.
 *
 * @param excludeSelf query i and bank row i are the same image: never its own neighbour.
 * @throws EVAL_INVALID when the bank holds fewer than k rows, or `excludeSelf` compares unequal sets.
 */
export async function nearestNeighbours(options: {
  queries: Features;
  bank: Features;
  k: number;
  excludeSelf?: boolean;
  matMul?: MatMul;
}): Promise<Neighbours> {
  const { queries, bank, k, excludeSelf = false } = options;
  if (excludeSelf && queries.count !== bank.count) {
    const problem = `excludeSelf compares ${queries.count} queries with a bank of ${bank.count}`;
    throw errors.evalInvalid("neighbours", problem, "give the same features as queries and as bank");
  }
  const candidates = bank.count - (excludeSelf ? 1 : 0);
  if (!Number.isInteger(k) || k < 1 || k > candidates) {
    throw errors.evalInvalid(
      "neighbours",
      `k = ${k} of ${candidates} bank rows`,
      `choose k in 1..${candidates}`,
    );
  }
  const indices = new Int32Array(queries.count * k);
  const similarities = new Float32Array(queries.count * k);
  const visit = (query: number, row: Float32Array) =>
    selectBest(row, k, indices, similarities, query * k, excludeSelf ? query : -1);
  await forEachQuery(queries, bank, visit, options.matMul);
  return { k, indices, similarities };
}
