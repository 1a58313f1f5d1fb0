/**
 * The random draws of one view's colour augmentation, and their encoding as the row of numbers that the step is
 * fed. The operations are those of torchvision and PIL in DINO (arXiv 2104.14294) and iBOT (arXiv 2111.07832).
 */
import { z, type Random } from "../../core/plugin.ts";

/** Hue shifts are at most a third of a turn: the range in which `rotateHue` is exact. */
export const MAX_HUE = 1 / 3;

const probability = z.number().min(0).max(1);
const strength = z.number().nonnegative();

/** The options of one view's colour augmentation; views differ in their defaults for blur and solarise. */
export function colourSchema(defaults: { readonly blur: number; readonly solarise: number }) {
  return z.strictObject({
    jitter: z
      .strictObject({
        p: probability.default(0.8).describe("probability of the jitter"),
        brightness: strength.default(0.4).describe("b: the factor is uniform in [max(0, 1 - b), 1 + b]"),
        contrast: strength.default(0.4).describe("b: the factor is uniform in [max(0, 1 - b), 1 + b]"),
        saturation: strength.default(0.2).describe("b: the factor is uniform in [max(0, 1 - b), 1 + b]"),
        hue: z
          .number()
          .min(0)
          .max(MAX_HUE)
          .default(0.1)
          .describe("the shift is uniform in [-hue, hue] turns"),
      })
      .prefault({})
      .describe("four operations in a random order, all or none"),
    grayscale: z
      .strictObject({ p: probability.default(0.2).describe("probability of the grayscale") })
      .prefault({})
      .describe("all channels become the luma"),
    blur: z
      .strictObject({
        p: probability.default(defaults.blur).describe("probability of the blur"),
        sigma: z
          .tuple([z.number().nonnegative(), z.number().nonnegative()])
          .refine(([low, high]) => low <= high, "the range is [smallest, largest]")
          .default([0.1, 2])
          .describe("range of the standard deviation in pixels, uniform"),
      })
      .prefault({})
      .describe("Gaussian blur"),
    solarise: z
      .strictObject({ p: probability.default(defaults.solarise).describe("probability of the solarisation") })
      .prefault({})
      .describe("inverts levels from 128 up"),
  });
}

export type ColourSpec = z.output<ReturnType<typeof colourSchema>>;

export const firstGlobalColour = colourSchema({ blur: 1, solarise: 0 });
export const secondGlobalColour = colourSchema({ blur: 0.1, solarise: 0.2 });
export const localColour = colourSchema({ blur: 0.5, solarise: 0 });

export const jitterOps = ["brightness", "contrast", "saturation", "hue"] as const;
export type JitterOp = (typeof jitterOps)[number];

/** What happens to one image: jitter in its order, then grayscale, blur and solarise. */
export interface ColourDraw {
  readonly order: readonly JitterOp[];
  /** Factors; 1 changes nothing. */
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** Turns in [-MAX_HUE, MAX_HUE]; 0 changes nothing. */
  readonly hue: number;
  readonly grayscale: boolean;
  /** Standard deviation of the blur in pixels; 0 changes nothing. */
  readonly sigma: number;
  readonly solarise: boolean;
}

/** Draws for one image of one view. Every call draws equally often, so no option moves another's draws. */
export function drawColour(random: Random, spec: ColourSpec): ColourDraw {
  const { jitter, grayscale, blur, solarise } = spec;
  const jittered = random.bernoulli(jitter.p);
  const order = Array.from(random.permutation(jitterOps.length), (op) => jitterOps[op]!);
  const factor = (b: number) => random.uniform(Math.max(0, 1 - b), 1 + b);
  const brightness = factor(jitter.brightness);
  const contrast = factor(jitter.contrast);
  const saturation = factor(jitter.saturation);
  const hue = random.uniform(-jitter.hue, jitter.hue);
  const grey = random.bernoulli(grayscale.p);
  const blurred = random.bernoulli(blur.p);
  const sigma = random.uniform(...blur.sigma);
  return {
    order,
    brightness: jittered ? brightness : 1,
    contrast: jittered ? contrast : 1,
    saturation: jittered ? saturation : 1,
    hue: jittered ? hue : 0,
    grayscale: grey,
    sigma: blurred ? sigma : 0,
    solarise: random.bernoulli(solarise.p),
  };
}

/**
 * One row of colour parameters. Brightness, contrast and saturation are blends
 * `y = clip(scale x + grey L(x) + mean m(L(x)))` of an image with its luma L and the luma's mean m, so an order
 * of four operations is three blends with the hue shift before, between or after them. A row has room for
 * three blends on each side of the hue shift; those that are not used change nothing.
 */
export const ColourLayout = {
  /** Blends before the hue shift: three times [scale, grey, mean]. */
  before: 0,
  /** Turns. */
  hue: 9,
  /** Blends after the hue shift: three times [scale, grey, mean]. */
  after: 10,
  /** 1 = the image becomes its luma, 0 = not. */
  grayscale: 19,
  /** Radius in pixels of the box filter that, applied three times, is the blur; 0 = none. */
  boxRadius: 20,
  /** 1 = solarised, 0 = not. */
  solarise: 21,
  length: 22,
} as const;

/** Blends on each side of the hue shift. */
export const BLENDS = 3;

/** [scale, grey, mean] of one operation with factor f. */
function blend(op: Exclude<JitterOp, "hue">, f: number): readonly [number, number, number] {
  switch (op) {
    case "brightness":
      return [f, 0, 0];
    case "contrast":
      return [f, 0, 1 - f];
    case "saturation":
      return [f, 1 - f, 0];
  }
}

/** The parameters of a draw, in `ColourLayout`. */
export function encodeColour(draw: ColourDraw): Float32Array {
  const row = new Float32Array(ColourLayout.length);
  for (let i = 0; i < BLENDS; i++) {
    row[ColourLayout.before + 3 * i] = 1;
    row[ColourLayout.after + 3 * i] = 1;
  }
  let offset: number = ColourLayout.before;
  for (const op of draw.order) {
    if (op === "hue") {
      offset = ColourLayout.after;
      continue;
    }
    row.set(blend(op, draw[op]), offset);
    offset += 3;
  }
  row[ColourLayout.hue] = draw.hue;
  row[ColourLayout.grayscale] = draw.grayscale ? 1 : 0;
  row[ColourLayout.boxRadius] = boxRadius(draw.sigma);
  row[ColourLayout.solarise] = draw.solarise ? 1 : 0;
  return row;
}

/** The colour parameters of one image of one view: [ColourLayout.length]. */
export function sampleColour(random: Random, spec: ColourSpec): Float32Array {
  return encodeColour(drawColour(random, spec));
}

/**
 * Radius r (pixels, fractional) of the box whose threefold application has the variance sigma^2, as PIL's
 * GaussianBlur: the next smaller whole radius l, plus the fraction that makes up the difference (Gwosdek et
 * al. 2011, "Theoretical Foundations of Gaussian Convolution by Extended Box Filtering", eq. 13-14).
 */
export function boxRadius(sigma: number): number {
  const variance = (sigma * sigma) / 3;
  const l = Math.floor((Math.sqrt(12 * variance + 1) - 1) / 2);
  const fraction = ((2 * l + 1) * (l * (l + 1) - 3 * variance)) / (6 * (variance - (l + 1) ** 2));
  return l + fraction;
}
