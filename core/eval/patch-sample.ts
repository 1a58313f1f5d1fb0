import { Random } from "../random.ts";
import type { PatchBatch } from "./extractor.ts";
import type { Features } from "./features.ts";

/** Patches that are kept, at most (or one of each image): what a fit reads, and what it takes of memory. */
export const SAMPLED_PATCHES = 2 ** 15;

/**
 * Patches of a set of images with the share of each that is foreground: as many of each image, drawn without
 * replacement by seed and image only.
 */
export class PatchSample {
  private readonly images: number;
  private readonly seed: number;
  private data = new Float32Array();
  private fractions = new Float32Array();
  private count = 0;
  private dim = 0;

  constructor(images: number, seed: number) {
    this.images = images;
    this.seed = seed;
  }

  /**
   * Adds patches of the i-th image of a batch.
   *
   * @param fractions [N] of all its patches
   */
  add({ first, side, dim, patches }: PatchBatch, i: number, fractions: Float32Array): void {
    const N = side * side;
    const each = Math.min(N, Math.max(1, Math.floor(SAMPLED_PATCHES / this.images)));
    if (this.count === 0) {
      this.dim = dim;
      this.data = new Float32Array(this.images * each * dim);
      this.fractions = new Float32Array(this.images * each);
    }
    for (const patch of new Random(this.seed, "dense patches", first + i).permutation(N).subarray(0, each)) {
      this.data.set(patches.subarray((i * N + patch) * dim, (i * N + patch + 1) * dim), this.count * dim);
      this.fractions[this.count++] = fractions[patch]!;
    }
  }

  get features(): Features {
    return { data: this.data, count: this.count, dim: this.dim };
  }

  /** [features.count] 0..1 */
  get targets(): Float32Array {
    return this.fractions;
  }
}
