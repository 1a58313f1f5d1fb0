/**
 * Antialiased bicubic resizing of a rectangle, off the byte array: the numbers of Pillow's `resize(BICUBIC, box)`
 * (what torchvision's random resized crop does to PIL images), bit for bit, on every machine.
 *
 * Why not sharp here: a sharp call costs about a millisecond whatever the size, and six small crops of one
 * decoded image would be mostly that. Each axis is one weighted sum per output pixel; when shrinking by f the
 * kernel is stretched by f. Sums are fixed-point with 22 fractional bits and rounded to bytes after each axis.
 *
 * Shrinking by 4 or more starts from halved copies of the image (2 x 2 means, kept so that the kernel still
 * shrinks by at least 2, Pillow's `reducing_gap=2`): a 12-megapixel photo costs little more than its decoding.
 */
import type { Raster } from "./decode.ts";

/** A rectangle in pixels of an image; fractions are allowed. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface ResampleOptions {
  /** The part of the source that is resized to the whole output. */
  readonly region: Region;
  readonly width: number;
  readonly height: number;
  /** Mirror left and right. */
  readonly flip?: boolean;
  /** Pixels outside it are never read; the region itself (as if cropped first) unless given. */
  readonly bounds?: Region;
}

const FRACTION_BITS = 22;

/**
 * Resizes parts of one image. Keeps the halved copies, so make one for all crops of an image.
 */
export class Resampler {
  /** levels[k]: the image with sides divided by 2^k. */
  private readonly levels: Raster[];

  constructor(image: Raster) {
    this.levels = [image];
  }

  /** Writes [height, width, channels] bytes to the start of `out`. */
  resize(options: ResampleOptions, out: Uint8Array): void {
    const { region, width, height, flip = false, bounds = region } = options;
    const shrink = Math.min(region.width / width, region.height / height);
    const level = Math.max(0, Math.floor(Math.log2(shrink / 2)));
    const source = this.level(level);
    const unit = 2 ** level;
    const columns = taps(
      region.x / unit,
      region.width / unit,
      width,
      Math.floor(bounds.x / unit),
      Math.min(source.width, Math.ceil((bounds.x + bounds.width) / unit)),
    );
    const rows = taps(
      region.y / unit,
      region.height / unit,
      height,
      Math.floor(bounds.y / unit),
      Math.min(source.height, Math.ceil((bounds.y + bounds.height) / unit)),
    );
    const firstRow = rows.starts[0]!;
    const lastRow = rows.starts[height - 1]! + rows.counts[height - 1]!;
    const narrowed = narrow(source, columns, width, firstRow, lastRow, flip);
    shorten(narrowed, rows, width * source.channels, height, firstRow, out);
  }

  private level(index: number): Raster {
    for (let k = this.levels.length; k <= index; k++) this.levels.push(halve(this.levels[k - 1]!));
    return this.levels[index]!;
  }
}

/** Keys' cubic with a = -1/2 (Catmull-Rom), zero from 2 on. */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

/** For each output pixel: the first source pixel it reads, how many, and their weights. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** [outputs, perOutput] fixed-point weights. */
  readonly weights: Int32Array;
  readonly perOutput: number;
}

/** Weights from source [from, from + length) to `outputs` pixels, reading [low, high) only. */
function taps(from: number, length: number, outputs: number, low: number, high: number): Taps {
  const scale = length / outputs;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const perOutput = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Int32Array(outputs * perOutput);
  const exact = new Float64Array(perOutput);
  // Relative to `low`, as if the image had been cropped to its bounds first.
  const offset = from - low;
  for (let output = 0; output < outputs; output++) {
    const center = offset + (output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(high - low, Math.trunc(center + support + 0.5));
    let total = 0;
    for (let i = start; i < end; i++) {
      const weight = cubic((i - center + 0.5) * (1 / stretch));
      exact[i - start] = weight;
      total += weight;
    }
    for (let i = 0; i < end - start; i++) {
      const weight = exact[i]! * (1 / total) * (1 << FRACTION_BITS);
      weights[output * perOutput + i] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    starts[output] = start + low;
    counts[output] = end - start;
  }
  return { starts, counts, weights, perOutput };
}

const HALF = 1 << (FRACTION_BITS - 1);

function toByte(sum: number): number {
  const value = sum >> FRACTION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Horizontal pass over rows [firstRow, lastRow): [rows, outputs, channels]. */
function narrow(
  source: Raster,
  { starts, counts, weights, perOutput }: Taps,
  outputs: number,
  firstRow: number,
  lastRow: number,
  flip: boolean,
): Uint8Array {
  const { data, width, channels } = source;
  const out = new Uint8Array((lastRow - firstRow) * outputs * channels);
  for (let row = firstRow; row < lastRow; row++) {
    const readRow = row * width;
    const writeRow = (row - firstRow) * outputs;
    for (let output = 0; output < outputs; output++) {
      const first = output * perOutput;
      const end = first + counts[output]!;
      let read = (readRow + starts[output]!) * channels;
      const write = (writeRow + (flip ? outputs - 1 - output : output)) * channels;
      if (channels === 3) {
        let red = HALF;
        let green = HALF;
        let blue = HALF;
        for (let i = first; i < end; i++, read += 3) {
          const weight = weights[i]!;
          red = (red + data[read]! * weight) | 0;
          green = (green + data[read + 1]! * weight) | 0;
          blue = (blue + data[read + 2]! * weight) | 0;
        }
        out[write] = toByte(red);
        out[write + 1] = toByte(green);
        out[write + 2] = toByte(blue);
      } else {
        let grey = HALF;
        for (let i = first; i < end; i++, read++) grey = (grey + data[read]! * weights[i]!) | 0;
        out[write] = toByte(grey);
      }
    }
  }
  return out;
}

/** Vertical pass over rows of `stride` bytes, the first of which is source row `firstRow`. */
function shorten(
  data: Uint8Array,
  { starts, counts, weights, perOutput }: Taps,
  stride: number,
  outputs: number,
  firstRow: number,
  out: Uint8Array,
): void {
  const sums = new Int32Array(stride);
  for (let output = 0; output < outputs; output++) {
    sums.fill(HALF);
    const first = (starts[output]! - firstRow) * stride;
    for (let i = 0; i < counts[output]!; i++) {
      const weight = weights[output * perOutput + i]!;
      const row = first + i * stride;
      for (let x = 0; x < stride; x++) sums[x] = (sums[x]! + data[row + x]! * weight) | 0;
    }
    for (let x = 0; x < stride; x++) out[output * stride + x] = toByte(sums[x]!);
  }
}

/** Means of 2 x 2 pixels; an odd last row or column stands for itself. */
function halve({ data, width, height, channels }: Raster): Raster {
  const halfWidth = Math.ceil(width / 2);
  const halfHeight = Math.ceil(height / 2);
  const out = new Uint8Array(halfWidth * halfHeight * channels);
  for (let y = 0, write = 0; y < halfHeight; y++) {
    const upper = 2 * y * width * channels;
    const lower = Math.min(2 * y + 1, height - 1) * width * channels;
    for (let x = 0; x < halfWidth; x++) {
      const left = 2 * x * channels;
      const right = Math.min(2 * x + 1, width - 1) * channels;
      for (let c = 0; c < channels; c++, write++) {
        const sum =
          data[upper + left + c]! +
          data[upper + right + c]! +
          data[lower + left + c]! +
          data[lower + right + c]!;
        // Halves to even: always up would brighten the image a little with each halving.
        out[write] = (sum + 1 + ((sum >> 2) & 1)) >> 2;
      }
    }
  }
  return { data: out, width: halfWidth, height: halfHeight, channels };
}
