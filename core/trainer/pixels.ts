/** Pixels on their way into the backbone. */
import * as tf from "@tensorflow/tfjs-core";
import { constant, float32, fused } from "../math/index.ts";

export interface Normalisation {
  /** Per channel, of pixels in 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Bytes 0..255 to 0..1. */
export function unitPixels(bytes: tf.Tensor4D): tf.Tensor4D {
  return float32(() => tf.div(bytes, 255));
}

/** (x - mean) / std per channel, [B, S, S, C]. */
export function normalise(images: tf.Tensor4D, { mean, std }: Normalisation): tf.Tensor4D {
  const perChannel = (values: readonly number[]) =>
    constant(Float32Array.from(values), [1, 1, 1, values.length]);
  return float32(() =>
    fused("normalise", () => tf.div(tf.sub(images, perChannel(mean)), perChannel(std)) as tf.Tensor4D),
  );
}
