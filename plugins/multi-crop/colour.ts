/**
 * Colour augmentation of a batch of views inside the training step, each image with its own parameters and in
 * its own order of operations: jitter (brightness, contrast, saturation, hue), grayscale, blur, solarise.
 *
 * The operations are torchvision's on PIL images, clipped to [0, 1] after each, except that values are not
 * rounded to 8 bits after each. That is the whole difference: PIL truncates after a blend (up to a level), and
 * a hue shift goes through hue, saturation and value in bytes, the shift truncated to 1/255 turn (up to ten
 * levels of a saturated colour, half a level on average).
 *
 * Images are held as planes, [n, 3, S * S]: brightness, contrast, saturation and grayscale are then one product
 * with a 3 x 3 matrix per image, and the hue shift is elementwise. Measured on 2 CPU cores, 8 x 224 x 224: 1.3 ms
 * and 3.5 ms, so the hue shift is done once with room for three blends on either side, instead of at all four
 * places of the order. On a GPU that rounds to TF32 each product is exact to an eighth of a level.
 */
import { constant, float32, tf } from "../../core/plugin.ts";
import { blur } from "./blur.ts";
import { BLENDS, boxRadius, ColourLayout, type ColourSpec } from "./sampling.ts";

/** ITU-R 601 luma with PIL's integer weights. */
const LUMA = [19595 / 65536, 38470 / 65536, 7471 / 65536] as const;

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
  const [n, height, width] = images.shape;
  const column = (offset: number): tf.Tensor3D =>
    tf.reshape(tf.slice(params, [0, offset], [n, 1]), [n, 1, 1]);
  let planes: tf.Tensor3D = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [n, 3, height * width]);
  if (stages.jitter) planes = jitter(planes, params, column(ColourLayout.hue));
  if (stages.grayscale) planes = grayscale(planes, column(ColourLayout.grayscale));
  if (stages.maxBoxRadius > 0) {
    const square: tf.Tensor4D = tf.reshape(planes, [n, 3, height, width]);
    const blurred = blur(square, column(ColourLayout.boxRadius), stages.maxBoxRadius);
    planes = tf.reshape(blurred, [n, 3, height * width]);
  }
  if (stages.solarise) planes = solarise(planes, column(ColourLayout.solarise));
  return tf.transpose(tf.reshape(planes, [n, 3, height, width]), [0, 2, 3, 1]);
}

/** Blends, hue shift, blends: any order of the four operations (see `ColourLayout`). */
function jitter(planes: tf.Tensor3D, params: tf.Tensor2D, turns: tf.Tensor3D): tf.Tensor3D {
  const blends = (input: tf.Tensor3D, offset: number) => {
    const n = params.shape[0];
    const rows = tf.reshape(tf.slice(params, [0, offset], [n, 3 * BLENDS]), [n, BLENDS, 3]);
    return tf.unstack(rows, 1).reduce<tf.Tensor3D>((x, row) => blend(x, row as tf.Tensor2D), input);
  };
  return blends(rotateHue(blends(planes, ColourLayout.before), turns), ColourLayout.after);
}

/**
 * clip(scale x + grey L(x) + mean m), L the luma and m its mean over the image, which PIL rounds to a level.
 *
 * @param planes [n, 3, P]
 * @param coefficients [n, 3]: scale, grey, mean
 */
function blend(planes: tf.Tensor3D, coefficients: tf.Tensor2D): tf.Tensor3D {
  const n = planes.shape[0];
  const [scale, grey, mean] = tf.split(tf.reshape(coefficients, [n, 3, 1]), 3, 1);
  const luma = tf.sum(
    tf.mul(tf.mean(planes, 2, true), constant(Float32Array.from(LUMA), [1, 3, 1])),
    1,
    true,
  );
  const level = tf.div(tf.floor(tf.add(tf.mul(luma, 255), 0.5)), 255); // [n, 1, 1]
  return tf.clipByValue(tf.add(mix(planes, scale!, grey!), tf.mul(level, mean!)), 0, 1);
}

/** scale x + grey L(x); the coefficients are [n, 1, 1]. */
function mix(planes: tf.Tensor3D, scale: tf.Tensor, grey: tf.Tensor): tf.Tensor3D {
  const identity = constant(Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), [1, 3, 3]);
  const luma = constant(Float32Array.from([...LUMA, ...LUMA, ...LUMA]), [1, 3, 3]);
  const matrices: tf.Tensor3D = tf.add(tf.mul(identity, scale), tf.mul(luma, grey));
  return float32(() => tf.matMul(matrices, planes));
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
function rotateHue(planes: tf.Tensor3D, turns: tf.Tensor3D): tf.Tensor3D {
  const n = planes.shape[0];
  const [red, green, blue] = tf.unstack(planes, 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const highest = tf.maximum(tf.maximum(red, green), blue);
  const lowest = tf.minimum(tf.minimum(red, green), blue);
  const chroma = tf.sub(highest, lowest);
  const size = tf.sub(tf.add(tf.add(chroma, green), blue), tf.add(red, lowest));
  const signed = tf.where(tf.greaterEqual(green, blue), size, tf.neg(size));
  const hue = tf.add(signed, tf.mul(chroma, tf.mul(tf.reshape(turns, [n, 1]), 6)));
  const third = tf.mul(chroma, 2);
  const half = tf.mul(chroma, 3);
  const base = tf.sub(lowest, chroma);
  const channel = (distance: tf.Tensor) => {
    const level = tf.add(tf.abs(tf.sub(tf.abs(distance), half)), base);
    return tf.maximum(lowest, tf.minimum(highest, level));
  };
  return tf.stack([channel(hue), channel(tf.sub(hue, third)), channel(tf.add(hue, third))], 1) as tf.Tensor3D;
}

/** `grey` [n, 1, 1]: 1 = all channels become the luma, 0 = none does. */
function grayscale(planes: tf.Tensor3D, grey: tf.Tensor3D): tf.Tensor3D {
  return mix(planes, tf.sub(1, grey), grey);
}

/**
 * Where `on` [n, 1, 1] is 1, levels from 128 up are inverted: min(x, 1 - x), which is PIL's solarize(128) on
 * every level and needs no comparison. Elsewhere min(x, 2 - x) = x.
 */
function solarise(planes: tf.Tensor3D, on: tf.Tensor3D): tf.Tensor3D {
  return tf.minimum(planes, tf.sub(tf.sub(2, on), planes));
}
