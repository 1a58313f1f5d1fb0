/** The golden images of test/fixtures/augment/make_fixtures.py, which says what made them. */
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { applyColour, type ColourStages } from "../../../plugins/multi-crop/colour.ts";
import { encodeColour, type ColourDraw } from "../../../plugins/multi-crop/sampling.ts";

export interface ColourCase extends ColourDraw {
  readonly name: string;
  readonly size: number;
  /** [size, size, 3] in 0..1 */
  readonly input: Float32Array;
  /** PIL's result, in 0..1 by levels of 1/255. */
  readonly pil: Float32Array;
  /** The formulas in float64, stored to 1/65535. */
  readonly exact: Float32Array;
}

interface CaseFile {
  readonly sizes: readonly number[];
  readonly cases: readonly (ColourDraw & { readonly name: string; readonly image: number })[];
}

export function loadColourCases(): ColourCase[] {
  const folder = new URL("../../fixtures/augment/", import.meta.url);
  const { sizes, cases } = JSON.parse(readFileSync(new URL("colour.json", folder), "utf8")) as CaseFile;
  const bytes = readFileSync(new URL("colour.bin", folder));
  let offset = 0;
  const take = (size: number, width: 1 | 2) =>
    Float32Array.from({ length: size * size * 3 }, () => {
      const value = width === 1 ? bytes.readUInt8(offset) / 255 : bytes.readUInt16LE(offset) / 65535;
      offset += width;
      return value;
    });
  const images = sizes.map((size) => take(size, 1));
  return cases.map(({ image, ...draw }) => {
    const size = sizes[image]!;
    return { ...draw, size, input: images[image]!, pil: take(size, 1), exact: take(size, 2) };
  });
}

/** Everything that the cases use. */
export const allStages: ColourStages = { jitter: true, grayscale: true, maxBoxRadius: 5, solarise: true };

export const neutral: ColourDraw = {
  order: ["brightness", "contrast", "saturation", "hue"],
  brightness: 1,
  contrast: 1,
  saturation: 1,
  hue: 0,
  grayscale: false,
  sigma: 0,
  solarise: false,
};

/** Augments images of one size, each with its own draw, as one batch. */
export function augment(
  inputs: readonly Float32Array[],
  draws: readonly ColourDraw[],
  stages: ColourStages = allStages,
): Float32Array[] {
  const size = Math.sqrt(inputs[0]!.length / 3);
  const output = tf.tidy(() => {
    const images = tf.stack(inputs.map((input) => tf.tensor3d(input, [size, size, 3]))) as tf.Tensor4D;
    const params = tf.tensor2d(draws.map((draw) => Array.from(encodeColour(draw))));
    return applyColour(images, params, stages).dataSync<"float32">();
  });
  return inputs.map(({ length }, i) => output.slice(i * length, (i + 1) * length));
}

/** In levels of 1/255. */
export function difference(a: Float32Array, b: Float32Array): { max: number; mean: number } {
  let max = 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const d = 255 * Math.abs(a[i]! - b[i]!);
    max = Math.max(max, d);
    sum += d;
  }
  return { max, mean: sum / a.length };
}
