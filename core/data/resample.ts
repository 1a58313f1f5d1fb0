/**
 * Antialiased bicubic resizing of a rectangle, off the byte array: the numbers of Pillow's `resize(BICUBIC, box)`
 * (what torchvision's random resized crop does to PIL images), bit for bit, on every machine.
 *
 * Why not sharp here: a sharp call costs about a millisecond whatever the size, and six small crops of one
 * decoded image would be mostly that. Each axis is one weighted sum per output pixel; when shrinking by f the
 * kernel is stretched by f. Sums are fixed-point with 22 fractional bits and rounded to bytes after each axis.
 * The loops run in WebAssembly: with its vectors the six crops of a photo take an eighth of the time in JavaScript.
 *
 * Shrinking by 4 or more starts from halved copies of the image (2 x 2 means, kept so that the kernel still
 * shrinks by at least 2, Pillow's `reducing_gap=2`): a 12-megapixel photo costs little more than its decoding.
 */
import type { Channels, Raster } from "./decode.ts";
import { ResampleKernels } from "./resample-kernels.ts";

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
/** Weights are split into 2048 high + low. */
const LOW_BITS = 11;
/** Neighbours that one round of the loops adds up: along a row, and down a column. */
const QUAD = 4;
const PAIR = 2;

/** A copy of an image in the kernels' memory. */
interface Level {
  readonly address: number;
  readonly width: number;
  readonly height: number;
}

// Threads do one thing at a time, so one memory serves all images.
const kernels = new ResampleKernels();

/**
 * Resizes parts of one image. Keeps the halved copies, so make one for all crops of an image, and use it up before the
 * next: going back and forth between images copies them every time.
 */
export class Resampler {
  readonly image: Raster;
  /** levels[k]: the image with sides divided by 2^k. */
  private levels: Level[] = [];

  constructor(image: Raster) {
    this.image = image;
  }

  /** Writes [height, width, channels] bytes to the start of `out`. Throws IMAGE_MEMORY. */
  resize(options: ResampleOptions, out: Uint8Array): void {
    const { region, width, height, flip = false, bounds = region } = options;
    const { channels } = this.image;
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
      QUAD,
    );
    const rows = taps(
      region.y / unit,
      region.height / unit,
      height,
      Math.floor(bounds.y / unit),
      Math.min(source.height, Math.ceil((bounds.y + bounds.height) / unit)),
      PAIR,
    );
    const { mark } = kernels;
    resample(source, channels, flip ? reversed(columns) : columns, rows, out);
    kernels.release(mark);
  }

  private level(index: number): Level {
    if (kernels.user !== this) this.load();
    for (let k = this.levels.length; k <= index; k++)
      this.levels.push(halve(this.levels[k - 1]!, this.image.channels));
    return this.levels[index]!;
  }

  private load(): void {
    const { width, height } = this.image;
    this.levels = [{ address: kernels.open(this, this.image), width, height }];
  }
}

/** Keys' cubic with a = -1/2 (Catmull-Rom), zero from 2 on. */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

/** For each output pixel: the first source pixel it reads, and weights of that and the next ones. */
interface Taps {
  readonly starts: Int32Array;
  /** Source pixels from the first that is read to the last. */
  readonly first: number;
  readonly last: number;
  /** Rounds of a loop per output. */
  readonly groups: number;
  /** [outputs, groups, 2, group]: high halves and low halves of fixed-point weights; 0 beyond those that count. */
  readonly weights: Int16Array;
}

/** Weights from source [from, from + length) to `outputs` pixels, reading [low, high) only, in groups. */
function taps(from: number, length: number, outputs: number, low: number, high: number, group: number): Taps {
  const scale = length / outputs;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const groups = Math.ceil(Math.min(2 * support + 1, high - low) / group);
  const starts = new Int32Array(outputs);
  const weights = new Int16Array(outputs * groups * 2 * group);
  const exact = new Float64Array(groups * group);
  // Relative to `low`, as if the image had been cropped to its bounds first.
  const offset = from - low;
  let last = 0;
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
      const fixed = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
      const at = (output * groups + Math.trunc(i / group)) * 2 * group + (i % group);
      weights[at] = fixed >> LOW_BITS;
      weights[at + group] = fixed & ((1 << LOW_BITS) - 1);
    }
    starts[output] = start + low;
    last = end + low;
  }
  return { starts, first: starts[0]!, last, groups, weights };
}

/** The outputs in the opposite order. */
function reversed(taps: Taps): Taps {
  const outputs = taps.starts.length;
  const perOutput = taps.weights.length / outputs;
  const weights = new Int16Array(taps.weights.length);
  for (let output = 0; output < outputs; output++) {
    const own = taps.weights.subarray(output * perOutput, (output + 1) * perOutput);
    weights.set(own, (outputs - 1 - output) * perOutput);
  }
  return { ...taps, starts: taps.starts.toReversed(), weights };
}

/** Both passes: rows to [rows read, outputs, channels], with room behind each row; then columns. */
function resample(source: Level, channels: Channels, columns: Taps, rows: Taps, out: Uint8Array): void {
  const outputs = columns.starts.length;
  const stride = source.width * channels;
  const width = outputs * channels;
  // Vectors are written whole.
  const narrowedStride = width + 16;
  const height = rows.starts.length;
  const narrowed = kernels.take((rows.last - rows.first) * narrowedStride);
  const result = kernels.take(height * width + 16);
  // What is read beyond the last row or column, for weights of zero, is anything, but there.
  kernels.take(16 + Math.max(columns.groups * QUAD * channels, rows.groups * PAIR * narrowedStride));
  const narrow = channels === 3 ? kernels.run.narrowColour : kernels.run.narrowGrey;
  narrow(
    source.address + rows.first * stride,
    stride,
    rows.last - rows.first,
    kernels.put(columns.starts.map((start) => start * channels)),
    kernels.put(columns.weights),
    columns.groups,
    outputs,
    narrowed,
    narrowedStride,
  );
  kernels.run.shorten(
    narrowed,
    narrowedStride,
    kernels.put(rows.starts.map((start) => (start - rows.first) * narrowedStride)),
    kernels.put(rows.weights),
    rows.groups,
    width,
    height,
    result,
  );
  out.set(kernels.bytes(result, height * width));
}

function halve({ address, width, height }: Level, channels: Channels): Level {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
  const level = { ...half, address: kernels.take(half.width * half.height * channels) };
  kernels.run.halve(address, width, height, channels, level.address);
  return level;
}
