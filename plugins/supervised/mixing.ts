/**
 * Samples mixed with others of their batch: mixup (arXiv 1710.09412) of whole images, cutmix (arXiv 1905.04899) of a box.
 * Both are one operation: within a box, which is the whole image in mixup, a sample keeps a part of itself, none in cutmix.
 */
import {
  constant,
  fused,
  tf,
  z,
  type Random,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
} from "../../core/plugin.ts";

export const mixingSchema = z.strictObject({
  mixup: z
    .number()
    .nonnegative()
    .default(0)
    .describe("alpha of mixup's Beta(alpha, alpha); 0 mixes no whole images"),
  cutmix: z
    .number()
    .nonnegative()
    .default(0)
    .describe("alpha of cutmix's Beta(alpha, alpha); 0 cuts no boxes"),
  mixProbability: z.number().min(0).max(1).default(1).describe("probability that a sample is mixed at all"),
  cutmixProbability: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("where there are both, probability of cutmix rather than mixup"),
});

export type Mixing = z.output<typeof mixingSchema>;

/** How one sample is mixed: its columns in the row that the step is fed. */
export const MixLayout = {
  /** The box in pixels; its ends are not in it. */
  top: 0,
  bottom: 1,
  left: 2,
  right: 3,
  /** The part that the sample keeps of itself within the box, 0..1. */
  kept: 4,
  /** The part of the whole image that is its own: the weight of its label, lambda of the papers. */
  share: 5,
  length: 6,
} as const;

export const mixes = ({ mixup, cutmix, mixProbability }: Mixing): boolean =>
  mixProbability > 0 && (mixup > 0 || cutmix > 0);

/** The row of one sample of `size` x `size` pixels. */
export function drawMix(random: Random, size: number, mixing: Mixing): Float32Array {
  const { mixup, cutmix, mixProbability, cutmixProbability } = mixing;
  if (!random.bernoulli(mixProbability)) return Float32Array.of(0, 0, 0, 0, 1, 1);
  const cuts = cutmix > 0 && (mixup === 0 || random.bernoulli(cutmixProbability));
  const alpha = cuts ? cutmix : mixup;
  const lambda = random.beta(alpha, alpha);
  if (!cuts) return Float32Array.of(0, size, 0, size, lambda, lambda);
  const [top, bottom] = side(random, size, lambda);
  const [left, right] = side(random, size, lambda);
  // What of the box lies beyond the image is not cut: lambda is what remains (the authors' code).
  const share = 1 - ((bottom - top) * (right - left)) / size ** 2;
  return Float32Array.of(top, bottom, left, right, 0, share);
}

/** One side of the box, of length sqrt(1 - lambda) size around a uniform middle, within the image (eq. 2 of cutmix). */
function side(random: Random, size: number, lambda: number): [number, number] {
  const half = Math.floor(Math.floor(size * Math.sqrt(1 - lambda)) / 2);
  const middle = random.integer(0, size - 1);
  return [Math.max(0, middle - half), Math.min(size, middle + half)];
}

/**
 * x_i + box_i (1 - kept_i) (x_(n-1-i) - x_i): each image with that at its place from the end.
 *
 * @param images [n, S, S, C]
 * @param rows [n, MixLayout.length], of `drawMix`
 */
export function mixImages(images: Tensor4D, rows: Tensor2D): Tensor4D {
  const [n, size] = images.shape;
  const column = (at: number): Tensor2D => tf.slice(rows, [0, at], [n, 1]);
  const pixels = constant(
    Float32Array.from({ length: size }, (_, i) => i),
    [1, size],
  );
  const within = (from: number, to: number) =>
    tf.cast(tf.logicalAnd(tf.greaterEqual(pixels, column(from)), tf.less(pixels, column(to))), "float32");
  const down = tf.reshape(within(MixLayout.top, MixLayout.bottom), [n, size, 1, 1]);
  const across = tf.reshape(within(MixLayout.left, MixLayout.right), [n, 1, size, 1]);
  const taken = tf.mul(down, tf.reshape(tf.sub(1, column(MixLayout.kept)), [n, 1, 1, 1]));
  const others = tf.reverse(images, 0);
  return fused("supervised.mix", () => tf.add(images, tf.mul(tf.mul(taken, across), tf.sub(others, images))));
}

/** lambda of each sample, [n]. */
export function sharesOf(rows: Tensor2D): Tensor1D {
  return tf.reshape(tf.slice(rows, [0, MixLayout.share], [-1, 1]), [-1]);
}
