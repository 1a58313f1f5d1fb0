/** A change of light and colour on bytes, for evaluations; training does its own inside the step. */
import type { Random } from "../random.ts";
import type { Channels } from "./decode.ts";

/** Luma of Rec. 601. */
const LUMA = [0.299, 0.587, 0.114] as const;

/**
 * In place, in this order: brightness (times 0.6 to 1.4), contrast (distance to the image's mean luma times 0.6
 * to 1.4), and for colour images saturation (distance to the pixel's luma times 0.6 to 1.4). Clipped to 0..255
 * after each, as 8-bit image editors do; rounded once.
 *
 * @param pixels [pixels, channels]
 */
export function jitterColor(pixels: Uint8Array, channels: Channels, random: Random): void {
  const brightness = random.uniform(0.6, 1.4);
  const contrast = random.uniform(0.6, 1.4);
  const saturation = random.uniform(0.6, 1.4);
  const values = Float64Array.from(pixels, (value) => clip(value * brightness));
  const lumaAt = (i: number) =>
    channels === 1 ? values[i]! : values[i]! * LUMA[0] + values[i + 1]! * LUMA[1] + values[i + 2]! * LUMA[2];

  let mean = 0;
  for (let i = 0; i < values.length; i += channels) mean += lumaAt(i);
  mean /= values.length / channels;
  for (let i = 0; i < values.length; i++) values[i] = clip(mean + (values[i]! - mean) * contrast);

  for (let i = 0; i < values.length; i += channels) {
    const luma = lumaAt(i);
    for (let c = i; c < i + channels; c++)
      pixels[c] = Math.round(clip(luma + (values[c]! - luma) * saturation));
  }
}

function clip(value: number): number {
  return Math.min(255, Math.max(0, value));
}
