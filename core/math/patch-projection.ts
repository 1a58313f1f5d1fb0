import * as tf from "@tensorflow/tfjs-core";
import { linear } from "./linear.ts";

/**
 * The convolution whose stride is as long as its kernel: each P x P patch by itself, as one matrix product.
 *
 * @param images [B, rows * P, columns * P, C]
 * @param weight [D, C, P, P], PyTorch's layout
 * @param bias [D]
 * @returns [B, rows * columns, D], row-major
 * @throws Error if the patches do not fill the images, or have other channels
 */
export function patchProjection(images: tf.Tensor4D, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor3D {
  const [B, height, width, C] = images.shape;
  const [D, channels, P] = (weight as tf.Tensor4D).shape;
  const [rows, columns] = [height / P, width / P];
  if (channels !== C || !Number.isInteger(rows) || !Number.isInteger(columns)) {
    throw new Error(`patchProjection: no whole patches of [${weight.shape}] in images [${images.shape}]`);
  }
  const cut = tf.transpose(tf.reshape(images, [B, rows, P, columns, P * C]), [0, 1, 3, 2, 4]);
  const pixels: tf.Tensor2D = tf.reshape(cut, [B * rows * columns, P * P * C]); // (y, x, channel) in each patch
  const kernel = tf.reshape(tf.transpose(weight, [0, 2, 3, 1]), [D, P * P * C]); // from [D, C, P, P]
  return tf.reshape(linear(pixels, kernel, bias), [B, rows * columns, D]);
}
