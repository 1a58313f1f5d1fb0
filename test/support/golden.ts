/** Golden values: what a reference script printed, and the inputs that it and the test make by the same formula. */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";

/** A JSON file beside the test: readGolden(import.meta.url, "golden.json"). */
export function readGolden<T>(test: string, file: string): T {
  return JSON.parse(readFileSync(new URL(file, test), "utf8")) as T;
}

/** value_i = scale sin(phase + 1.3 i + 0.11 i^2): values without a pattern, the same in every language. */
export function waves(size: number, phase: number, scale = 1): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => scale * Math.sin(phase + 1.3 * i + 0.11 * i * i));
}

/** `waves` as a tensor. */
export function waveTensor<R extends tf.Rank = tf.Rank>(
  shape: readonly number[],
  phase: number,
  scale = 1,
): tf.Tensor<R> {
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor<R>(waves(size, phase, scale), [...shape] as tf.ShapeMap[R]);
}
