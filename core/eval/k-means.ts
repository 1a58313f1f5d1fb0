/**
 * k-means: Lloyd's iterations from centers drawn by k-means++ (Arthur and Vassilvitskii, SODA 2007), the best of several
 * starts.
 */
import { errors } from "../errors.ts";
import { Random } from "../random.ts";
import type { Features } from "./features.ts";
import { matMul as plainMatMul, type MatMul } from "./mat-mul.ts";

export interface Clustering {
  /** [count] cluster of each row, 0..k-1. */
  readonly assignments: Int32Array;
  /** [k, dim] */
  readonly centers: Float32Array;
  /** Sum of squared distances to the own center. */
  readonly inertia: number;
}

export interface KMeansOptions {
  readonly k: number;
  readonly seed: number;
  /** Starts, of which the one of least inertia counts. */
  readonly restarts: number;
  readonly matMul?: MatMul;
}

const MOST_ITERATIONS = 300;

/** @throws EVAL_INVALID for fewer rows than clusters. */
export async function kMeans(features: Features, options: KMeansOptions): Promise<Clustering> {
  const { k, seed, restarts, matMul = plainMatMul } = options;
  if (!Number.isInteger(k) || k < 1 || k > features.count) {
    throw errors.evalInvalid(
      "k-means",
      `k = ${k} of ${features.count} rows`,
      `choose k in 1..${features.count}`,
    );
  }
  let best: Clustering | undefined;
  for (let start = 0; start < Math.max(1, restarts); start++) {
    const centers = await drawCenters(features, k, new Random(seed, "k-means", start), matMul);
    const found = await iterate(features, centers, matMul);
    if (!best || found.inertia < best.inertia) best = found;
  }
  return best!;
}

/** Rows, each drawn by its squared distance to the nearest center so far. */
async function drawCenters(
  features: Features,
  k: number,
  random: Random,
  matMul: MatMul,
): Promise<Float32Array> {
  const { data, count, dim } = features;
  const centers = new Float32Array(k * dim);
  const nearest = new Float64Array(count).fill(Infinity);
  let row = random.integer(0, count - 1);
  for (let c = 0; ; c++) {
    const center = data.subarray(row * dim, (row + 1) * dim);
    centers.set(center, c * dim);
    if (c === k - 1) return centers;
    const distances = await squaredDistances(features, center, 1, matMul);
    let total = 0;
    for (let i = 0; i < count; i++) total += nearest[i] = Math.min(nearest[i]!, distances[i]!);
    let left = random.uniform(0, total);
    row = 0;
    while (row < count - 1 && (left -= nearest[row]!) >= 0) row++;
  }
}

async function iterate(features: Features, centers: Float32Array, matMul: MatMul): Promise<Clustering> {
  const { data, count, dim } = features;
  const k = centers.length / dim;
  const assignments = new Int32Array(count).fill(-1);
  const own = new Float64Array(count);
  for (let iteration = 0; ; iteration++) {
    const distances = await squaredDistances(features, centers, k, matMul);
    let moved = 0;
    let inertia = 0;
    for (let i = 0; i < count; i++) {
      let nearest = 0;
      for (let c = 1; c < k; c++) if (distances[i * k + c]! < distances[i * k + nearest]!) nearest = c;
      if (assignments[i] !== nearest) moved++;
      assignments[i] = nearest;
      inertia += own[i] = distances[i * k + nearest]!;
    }
    if (moved === 0 || iteration === MOST_ITERATIONS) return { assignments, centers, inertia };
    const sums = new Float64Array(k * dim);
    const sizes = new Int32Array(k);
    for (let i = 0; i < count; i++) {
      const c = assignments[i]!;
      sizes[c]!++;
      for (let d = 0; d < dim; d++) sums[c * dim + d]! += data[i * dim + d]!;
    }
    centers = Float32Array.from(sums, (sum, at) => sum / sizes[Math.floor(at / dim)]!);
    for (const c of sizes.keys()) {
      if (sizes[c]! > 0) continue;
      // A center without rows starts anew at the row that is farthest from its own.
      const farthest = own.reduce((most, value, i) => (value > own[most]! ? i : most), 0);
      own[farthest] = 0;
      centers.set(data.subarray(farthest * dim, (farthest + 1) * dim), c * dim);
    }
  }
}

/** |x - c|^2 = |x|^2 + |c|^2 - 2 x c of each row and center, [count, k], not negative. */
async function squaredDistances(
  { data, count, dim }: Features,
  centers: Float32Array,
  k: number,
  matMul: MatMul,
): Promise<Float64Array> {
  const products = await matMul(data, centers, count, k, dim);
  const [rows, own] = [squaredNorms(data, dim), squaredNorms(centers, dim)];
  const distances = new Float64Array(count * k);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < k; c++)
      distances[i * k + c] = Math.max(0, rows[i]! + own[c]! - 2 * products[i * k + c]!);
  }
  return distances;
}

function squaredNorms(rows: Float32Array, dim: number): Float64Array {
  const norms = new Float64Array(rows.length / dim);
  for (let i = 0; i < rows.length; i++) norms[Math.floor(i / dim)]! += rows[i]! ** 2;
  return norms;
}
