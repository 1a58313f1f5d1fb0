/** What MAE (arXiv 2111.06377, section 3) predicts, and its loss. */
import { float32, tf, type Tensor3D, type Tensor4D } from "../../core/plugin.ts";

/** Added to a patch's variance, as in the official code. */
const EPSILON = 1e-6;

/**
 * Cuts images into patches.
 *
 * @param images [R, height, width, channels], both sides multiples of patchSize
 * @returns [R, N, patchSize^2 * channels]: patches row-major, and (y, x, channel) in each
 */
export function patchPixels(images: Tensor4D, patchSize: number): Tensor3D {
  const [R, height, width, channels] = images.shape;
  const [rows, columns] = [height / patchSize, width / patchSize];
  const cut = tf.reshape(images, [R, rows, patchSize, columns, patchSize * channels]);
  return tf.reshape(tf.transpose(cut, [0, 1, 3, 2, 4]), [R, rows * columns, patchSize ** 2 * channels]);
}

/**
 * Each patch by its own mean and standard deviation, over n = patchSize^2 * channels values; the variance is the unbiased
 * one, as in the official code:
 *
 *   (x - mean(x)) / sqrt(sum (x - mean(x))^2 / (n - 1) + 1e-6)
 *
 * @param patches [R, M, n], n at least 2
 */
export function normalisePatches(patches: Tensor3D): Tensor3D {
  return float32(() => {
    const n = patches.shape[2];
    const centered = tf.sub(patches, tf.mean(patches, 2, true));
    const variance = tf.div(tf.sum(tf.square(centered), 2, true), n - 1);
    return tf.mul(centered, tf.rsqrt(tf.add(variance, EPSILON)));
  });
}

/**
 * The mean squared error, over the dropped patches alone:
 *
 *   L = 1 / (R M n) sum over images, dropped patches and values of (predicted - target)^2
 *
 * @param predicted [R, M, n]
 * @param target [R, M, n]
 */
export function reconstructionLoss(predicted: Tensor3D, target: Tensor3D): tf.Scalar {
  return float32(() => tf.mean(tf.square(tf.sub(predicted, target))) as tf.Scalar);
}
