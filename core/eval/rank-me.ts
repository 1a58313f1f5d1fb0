/** How many directions features use. */
import type { Extractor, Images, ProbeReadout, Readouts } from "./extractor.ts";
import type { Features } from "./features.ts";
import { symmetricEigenvalues } from "./symmetric-eigenvalues.ts";

/** The paper's epsilon. */
const EPSILON = 1e-7;

/**
 * The effective rank of features Z (RankMe, arXiv 2210.02885, eq. 1 and 2), from their singular values s_k:
 *
 *   exp(-sum_k p_k ln p_k),   p_k = s_k / sum_i s_i + 1e-7
 *
 * The paper's features are not centred, nor are these. Only as many images compare as there were: it grows with them.
 *
 * @returns 1 where all features have one direction, at most about min(count, dim); NaN for features that are not finite
 */
export function rankMe(features: Features): number {
  const squared = symmetricEigenvalues(smallerGram(features), Math.min(features.count, features.dim));
  // What rounding makes of zeros may be negative.
  const singular = squared.map((value) => Math.sqrt(Math.max(0, value)));
  const sum = singular.reduce((a, b) => a + b, 0);
  if (sum === 0) return 1;
  const shares = singular.map((value) => value / sum + EPSILON);
  return Math.exp(-shares.reduce((total, share) => total + share * Math.log(share), 0));
}

/** Z^T Z or Z Z^T, whichever is smaller, its lower triangle: their eigenvalues are the squared singular values. Doubles. */
function smallerGram({ data, count, dim }: Features): Float64Array {
  const [size, length, stride, step] = count < dim ? [count, dim, dim, 1] : [dim, count, 1, dim];
  const rows = new Float64Array(size * length);
  for (let r = 0; r < size; r++)
    for (let i = 0; i < length; i++) rows[r * length + i] = data[r * stride + i * step]!;
  const gram = new Float64Array(size * size);
  for (let r = 0; r < size; r++) {
    const own = rows.subarray(r * length, (r + 1) * length);
    // Two sums at a time: one alone waits for itself. The last may be one that nobody reads.
    for (let c = 0; c <= r; c += 2) {
      const [first, second] = [c * length, Math.min(c + 1, size - 1) * length];
      let sum = 0;
      let next = 0;
      for (let i = 0; i < length; i++) {
        const value = own[i]!;
        sum += value * rows[first + i]!;
        next += value * rows[second + i]!;
      }
      gram[r * size + c] = sum;
      if (c < r) gram[r * size + c + 1] = next;
    }
  }
  return gram;
}

/** The name of RankMe in the log. */
export const RANK_ME = "rankMe";

/** An extractor that pools as another does, and tells the rank of the largest set of images that it pooled. */
export class RankedExtractor implements Extractor {
  readonly pooling: string;
  private readonly extractor: Extractor;
  private largest: Features | undefined;

  constructor(extractor: Extractor) {
    this.pooling = extractor.pooling;
    this.extractor = extractor;
  }

  async pooled(images: Images): Promise<Features> {
    return this.seen(await this.extractor.pooled(images));
  }

  async readouts(images: Images, probe: ProbeReadout): Promise<Readouts> {
    const readouts = await this.extractor.readouts(images, probe);
    this.seen(readouts.pooled);
    return readouts;
  }

  probing(probe: ProbeReadout): string {
    return this.extractor.probing(probe);
  }

  patches(images: Images): ReturnType<Extractor["patches"]> {
    return this.extractor.patches(images);
  }

  private seen(features: Features): Features {
    if (features.count > (this.largest?.count ?? 1)) this.largest = features;
    return features;
  }

  /** By log name; nothing where no images were pooled. */
  get scalars(): Record<string, number> {
    return this.largest ? { [RANK_ME]: rankMe(this.largest) } : {};
  }
}
