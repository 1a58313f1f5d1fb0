/**
 * Colour augmentation of a batch of views inside the training step, each image with its own parameters and in
 * its own order of operations: jitter (brightness, contrast, saturation, hue), grayscale, blur, solarise.
 *
 * The operations are torchvision's on PIL images, clipped to [0, 1] after each, except that values are not
 * rounded to 8 bits after each. That is the whole difference: PIL truncates after a blend (up to a level), and
 * a hue shift goes through hue, saturation and value in bytes, the shift truncated to 1/255 turn (up to ten
 * levels of a saturated colour, half a level on average).
 *
 * Colours are held apart, each [n, S * S], and all but the blur is elementwise: what costs is passes over the pixels. So
 * the hue shift is done once with room for three blends on either side, instead of at all four places of the order,
 * and each operation is a fused piece of its own. One piece of them all would be slower by far: each blend needs the
 * mean of what comes before, and XLA computes that again in every piece of work that reads it.
 */
import { fused, mapRows, tf } from "../../core/plugin.ts";
import { blur } from "./blur.ts";
import { BLENDS, boxRadius, ColourLayout, type ColourSpec } from "./sampling.ts";

/** ITU-R 601 luma with PIL's integer weights. */
const LUMA = [19595 / 65536, 38470 / 65536, 7471 / 65536] as const;

/** 4 MiB of pixels at a time pass through all operations; more where the graph would grow by too many nodes. */
const CHUNKS = { chunkValues: 2 ** 20, most: 8 };

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

/** Red, green and blue of a batch, each [n, P] in 0..1. */
type Planes = readonly [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];

/**
 * @param images [n, S, S, 3] in 0..1
 * @param params [n, ColourLayout.length], rows of `sampleColour`
 * @returns [n, S, S, 3] in 0..1
 */
export function applyColour(images: tf.Tensor4D, params: tf.Tensor2D, stages: ColourStages): tf.Tensor4D {
  return mapRows([images, params], (images, params) => colourOf(images, params, stages), CHUNKS);
}

function colourOf(images: tf.Tensor4D, params: tf.Tensor2D, stages: ColourStages): tf.Tensor4D {
  const [n, height, width] = images.shape;
  const column: Column = (offset) => tf.slice(params, [0, offset], [n, 1]);
  const channels = fused("colour.channels", () => tf.unstack(tf.reshape(images, [n, height * width, 3]), 2));
  let planes = channels as unknown as Planes;
  if (stages.jitter) planes = jitter(planes, column);
  if (stages.grayscale) planes = grayscale(planes, column(ColourLayout.grayscale));
  let square: tf.Tensor4D = tf.reshape(tf.stack([...planes], 1), [n, 3, height, width]);
  if (stages.maxBoxRadius > 0) {
    const radii: tf.Tensor3D = tf.reshape(column(ColourLayout.boxRadius), [n, 1, 1]);
    square = blur(square, radii, stages.maxBoxRadius);
  }
  return fused("colour.interleave", () => {
    const solarised = stages.solarise
      ? solarise(square, tf.reshape(column(ColourLayout.solarise), [n, 1, 1, 1]))
      : square;
    return tf.transpose(solarised, [0, 2, 3, 1]);
  });
}

/** A parameter of all images by its offset, [n, 1]. */
type Column = (offset: number) => tf.Tensor2D;

const each = (planes: Planes, change: (plane: tf.Tensor2D) => tf.Tensor2D): Planes =>
  planes.map(change) as unknown as Planes;

/** L(x), [n, P] */
function luma(planes: Planes): tf.Tensor2D {
  return tf.addN(planes.map((plane, c) => tf.mul(plane, LUMA[c]!)));
}

/** Blends, hue shift, blends: any order of the four operations (see `ColourLayout`). */
function jitter(planes: Planes, column: Column): Planes {
  const blends = (input: Planes, first: number) => {
    const offsets = Array.from({ length: BLENDS }, (_, i) => first + 3 * i);
    return offsets.reduce((x, at) => blend(x, column(at), column(at + 1), column(at + 2)), input);
  };
  const before = blends(planes, ColourLayout.before);
  return blends(rotateHue(before, column(ColourLayout.hue)), ColourLayout.after);
}

/**
 * clip(scale x + grey L(x) + mean m), m the mean of L(x) over the image, which PIL rounds to a level. The coefficients
 * are [n, 1].
 */
function blend(planes: Planes, scale: tf.Tensor2D, grey: tf.Tensor2D, mean: tf.Tensor2D): Planes {
  const average = fused("colour.mean", () => tf.mean(luma(planes), 1, true));
  const level = tf.div(tf.floor(tf.add(tf.mul(average, 255), 0.5)), 255);
  return fused("colour.blend", () => {
    const shift = tf.add(tf.mul(luma(planes), grey), tf.mul(level, mean));
    return each(planes, (plane) => tf.clipByValue(tf.add(tf.mul(plane, scale), shift), 0, 1));
  });
}

/**
 * Moves the hue by `turns` [n, 1] and keeps HSV's value M = max(R, G, B) and saturation C / M, C = M - m,
 * m = min(R, G, B).
 *
 * On a hue circle of circumference 6 with red at 0, a colour at h in [-3, 3] has the red part
 * (R - m) / C = clip(2 - |h|, 0, 1), the green part is the same around h = 2 and the blue part around h = -2.
 * Conversely |h| C = C + G + B - R - m, and h has the sign of G - B. For |h| up to 7, beyond once around,
 * 2 - |h| becomes | |h| - 3 | - 1. Multiplied by C nothing is divided, and a grey pixel (C = 0) stays as it is.
 */
function rotateHue([red, green, blue]: Planes, turns: tf.Tensor2D): Planes {
  return fused("colour.hue", () => {
    const highest = tf.maximum(tf.maximum(red, green), blue);
    const lowest = tf.minimum(tf.minimum(red, green), blue);
    const chroma = tf.sub(highest, lowest);
    const size = tf.sub(tf.add(tf.add(chroma, green), blue), tf.add(red, lowest));
    const signed = tf.where(tf.greaterEqual(green, blue), size, tf.neg(size));
    const hue = tf.add(signed, tf.mul(chroma, tf.mul(turns, 6)));
    const third = tf.mul(chroma, 2);
    const half = tf.mul(chroma, 3);
    const base = tf.sub(lowest, chroma);
    const channel = (distance: tf.Tensor): tf.Tensor2D => {
      const level = tf.add(tf.abs(tf.sub(tf.abs(distance), half)), base);
      return tf.maximum(lowest, tf.minimum(highest, level));
    };
    return [channel(hue), channel(tf.sub(hue, third)), channel(tf.add(hue, third))] as const;
  });
}

/** `grey` [n, 1]: 1 = all channels become the luma, 0 = none does. */
function grayscale(planes: Planes, grey: tf.Tensor2D): Planes {
  return fused("colour.grey", () => {
    const own = tf.mul(luma(planes), grey);
    const rest = tf.sub(1, grey);
    return each(planes, (plane) => tf.add(tf.mul(plane, rest), own));
  });
}

/**
 * Where `on` [n, 1, 1, 1] is 1, levels from 128 up are inverted: min(x, 1 - x), which is PIL's solarize(128) on
 * every level and needs no comparison. Elsewhere min(x, 2 - x) = x.
 */
function solarise(images: tf.Tensor4D, on: tf.Tensor): tf.Tensor4D {
  return tf.minimum(images, tf.sub(tf.sub(2, on), images));
}
