/**
 * Colour augmentation of a batch of views inside the training step, each image with its own parameters and in
 * its own order of operations: jitter (brightness, contrast, saturation, hue), grayscale, blur, solarise.
 *
 * The operations are torchvision's on PIL images, clipped to [0, 1] after each, except that values are not
 * rounded to 8 bits after each. That rounding (PIL truncates after a blend, and keeps hue and saturation as
 * bytes) is the whole difference: up to about a level after a blend, several levels of a saturated colour after
 * a hue shift.
 *
 * An image is held as three planes: an operation that treats the channels differently is then elementwise.
 * Measured on 2 CPU cores, 8 x 224 x 224: a blend is 1.1 ms, the hue shift 3 ms, so the hue shift is done once
 * with room for three blends on either side, instead of at all four places of the order.
 */
import * as tf from "@tensorflow/tfjs-core";
import { blur } from "./blur.ts";
import { BLENDS, boxRadius, ColourLayout, type ColourSpec } from "./sampling.ts";

/** Red, green and blue, each [n, S, S]. */
type Planes = readonly [tf.Tensor, tf.Tensor, tf.Tensor];

/** Which operations occur at all in a group of views; the others are left out of the step. */
export interface ColourStages {
  readonly jitter: boolean;
  readonly grayscale: boolean;
  /** The largest box radius of the blur in pixels, 0 without blur. */
  readonly maxBoxRadius: number;
  readonly solarise: boolean;
}

/** The stages that a group of views with these options needs. */
export function colourStages(specs: readonly ColourSpec[]): ColourStages {
  const sigmas = specs.map(({ blur }) => (blur.p > 0 ? blur.sigma[1] : 0));
  return {
    jitter: specs.some(({ jitter }) => jitter.p > 0),
    grayscale: specs.some(({ grayscale }) => grayscale.p > 0),
    maxBoxRadius: boxRadius(Math.max(0, ...sigmas)),
    solarise: specs.some(({ solarise }) => solarise.p > 0),
  };
}

/**
 * @param images [n, S, S, 3] in 0..1
 * @param params [n, ColourLayout.length], rows of `sampleColour`
 * @returns [n, S, S, 3] in 0..1
 */
export function applyColour(images: tf.Tensor4D, params: tf.Tensor2D, stages: ColourStages): tf.Tensor4D {
  const n = params.shape[0];
  const columns = tf.unstack(tf.reshape(params, [n, ColourLayout.length, 1, 1]), 1);
  let planes = tf.unstack(images, 3) as unknown as Planes;
  if (stages.jitter) planes = jitter(planes, columns);
  if (stages.grayscale) planes = grayscale(planes, columns[ColourLayout.grayscale]!);
  let stacked = tf.stack([...planes], 2) as tf.Tensor4D; // [n, S, 3, S]
  if (stages.maxBoxRadius > 0) {
    stacked = blur(stacked, columns[ColourLayout.boxRadius] as tf.Tensor3D, stages.maxBoxRadius);
  }
  if (stages.solarise) stacked = solarise(stacked, columns[ColourLayout.solarise]!);
  return tf.transpose(stacked, [0, 1, 3, 2]);
}

/** Blends, hue shift, blends: any order of the four operations (see `ColourLayout`). */
function jitter(planes: Planes, columns: readonly tf.Tensor[]): Planes {
  const blends = (input: Planes, offset: number) => {
    let output = input;
    for (let i = offset; i < offset + 3 * BLENDS; i += 3) {
      output = blend(output, columns[i]!, columns[i + 1]!, columns[i + 2]!);
    }
    return output;
  };
  const before = blends(planes, ColourLayout.before);
  return blends(rotateHue(before, columns[ColourLayout.hue]!), ColourLayout.after);
}

const each = ([red, green, blue]: Planes, f: (plane: tf.Tensor) => tf.Tensor): Planes => [
  f(red),
  f(green),
  f(blue),
];

/** ITU-R 601 luma with PIL's integer weights, [n, S, S]. */
function luma([red, green, blue]: Planes): tf.Tensor {
  const warm = tf.add(tf.mul(red, 19595 / 65536), tf.mul(green, 38470 / 65536));
  return tf.add(warm, tf.mul(blue, 7471 / 65536));
}

/**
 * clip(scale x + grey L(x) + mean m), L the luma and m its mean over the image, which PIL rounds to a level.
 * The coefficients are [n, 1, 1].
 */
function blend(planes: Planes, scale: tf.Tensor, grey: tf.Tensor, mean: tf.Tensor): Planes {
  const light = luma(planes);
  const level = tf.div(tf.floor(tf.add(tf.mul(tf.mean(light, [1, 2], true), 255), 0.5)), 255);
  const offset = tf.add(tf.mul(light, grey), tf.mul(level, mean));
  return each(planes, (plane) => tf.clipByValue(tf.add(tf.mul(plane, scale), offset), 0, 1));
}

/**
 * Moves the hue by `turns` [n, 1, 1] and keeps HSV's value M = max(R, G, B) and saturation C / M, C = M - m,
 * m = min(R, G, B).
 *
 * On a hue circle of circumference 6 with red at 0, a colour at h in [-3, 3] has the red part
 * (R - m) / C = clip(2 - |h|, 0, 1), the green part is the same around h = 2 and the blue part around h = -2.
 * Conversely |h| C = C + G + B - R - m, and h has the sign of G - B. For |h| up to 7, beyond once around,
 * 2 - |h| becomes | |h| - 3 | - 1. Multiplied by C nothing is divided, and a grey pixel (C = 0) stays as it is.
 */
function rotateHue([red, green, blue]: Planes, turns: tf.Tensor): Planes {
  const highest = tf.maximum(tf.maximum(red, green), blue);
  const lowest = tf.minimum(tf.minimum(red, green), blue);
  const chroma = tf.sub(highest, lowest);
  const size = tf.sub(tf.add(tf.add(chroma, green), blue), tf.add(red, lowest));
  const signed = tf.where(tf.greaterEqual(green, blue), size, tf.neg(size));
  const hue = tf.add(signed, tf.mul(chroma, tf.mul(turns, 6)));
  const third = tf.mul(chroma, 2);
  const half = tf.mul(chroma, 3);
  const base = tf.sub(lowest, chroma);
  return each([hue, tf.sub(hue, third), tf.add(hue, third)], (distance) => {
    const level = tf.add(tf.abs(tf.sub(tf.abs(distance), half)), base);
    return tf.maximum(lowest, tf.minimum(highest, level));
  });
}

/** `grey` [n, 1, 1]: 1 = all channels become the luma, 0 = none does. */
function grayscale(planes: Planes, grey: tf.Tensor): Planes {
  const offset = tf.mul(luma(planes), grey);
  const scale = tf.sub(1, grey);
  return each(planes, (plane) => tf.add(tf.mul(plane, scale), offset));
}

/**
 * Where `on` [n, 1, 1] is 1, levels from 128 up are inverted: min(x, 1 - x), which is PIL's solarize(128) on
 * every level and needs no comparison. Elsewhere min(x, 2 - x) = x.
 */
function solarise(images: tf.Tensor4D, on: tf.Tensor): tf.Tensor4D {
  return tf.minimum(images, tf.sub(tf.expandDims(tf.sub(2, on), 1), images));
}
