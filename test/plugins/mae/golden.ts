/** What reference.py computes, and its inputs. */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";

interface Golden {
  readonly positions: readonly number[];
  readonly losses: Record<"normalised" | "plain", { value: [number]; gradient: readonly number[] }>;
  readonly decoder: {
    readonly predicted: readonly number[];
    readonly loss: [number];
    readonly tokens: readonly number[];
    /** By name, two projections of the gradient. */
    readonly parameters: Readonly<Record<string, readonly [number, number]>>;
  };
}

export const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as Golden;

export const grid = { rows: 2, columns: 3 };
export const sizes = { images: 2, patchSize: 2, channels: 3, inDim: 6, decoderDim: 8, depth: 2, numHeads: 2 };
export const VALUES = sizes.patchSize ** 2 * sizes.channels;
export const KEPT = 2;
/** Each image's patches: those that are kept, then the others. */
export const order = [
  [4, 1, 0, 5, 3, 2],
  [2, 5, 1, 3, 0, 4],
];

/** sin(0.13 i^2 + 0.7 i + sum of the name's character codes), row-major. */
export function formula<R extends tf.Rank>(name: string, shape: readonly number[]): tf.Tensor<R> {
  const size = shape.reduce((product, length) => product * length, 1);
  const phase = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(0.13 * i ** 2 + 0.7 * i + phase));
  return tf.tensor<R>(values, [...shape] as tf.ShapeMap[R]);
}

export const images = () =>
  formula<tf.Rank.R4>("images", [
    sizes.images,
    grid.rows * sizes.patchSize,
    grid.columns * sizes.patchSize,
    sizes.channels,
  ]);

export const placesOf = (from: number, to?: number) =>
  tf.tensor2d(
    order.map((row) => row.slice(from, to)),
    undefined,
    "int32",
  );
