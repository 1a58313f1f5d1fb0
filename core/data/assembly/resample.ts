/**
 * The inner loops of resample.ts in AssemblyScript, for the 128-bit vectors of WebAssembly. They are compiled into
 * resample-module.ts by `npm run build:wasm`; all addresses are of one memory, which the caller lays out.
 *
 * A sum of bytes times weights of 22 fractional bits is exact in 32 bits but has no fast product. So a weight is
 * 2048 high + low, both of 16 bits; one instruction multiplies eight bytes with eight halves and adds neighbours.
 */

const HALF: i32 = 1 << 21;

/** 2048 high + low, rounded to whole levels: four of them. */
function levels(high: v128, low: v128): v128 {
  const sum = i32x4.add(i32x4.shl(high, 11), low);
  return i32x4.shr_s(i32x4.add(sum, i32x4.splat(HALF)), 22);
}

/**
 * Narrows rows of three channels: each output pixel is a sum of 4 * `quads` neighbours, from `starts[output]` (bytes
 * from the start of the row). Of the neighbours beyond those that count the weights are zero; they are read.
 *
 * @param weights [outputs, quads, 4]: high of pixels 0 and 1, high of 2 and 3, low of 0 and 1, low of 2 and 3
 * @param out rows of `outStride` bytes, at least 3 * outputs + 1: a pixel is written with a byte more
 */
export function narrowColour(
  source: usize,
  sourceStride: usize,
  rows: i32,
  starts: usize,
  weights: usize,
  quads: i32,
  outputs: i32,
  out: usize,
  outStride: usize,
): void {
  // red, red', green, green', blue, blue' of two pixels as 16 bits; -1 gives zero.
  const first = i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
  const second = i8x16(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  for (let row = 0; row < rows; row++) {
    let weight = weights;
    for (let output = 0; output < outputs; output++) {
      let read = source + <usize>load<i32>(starts + ((<usize>output) << 2));
      let high = i32x4.splat(0);
      let low = i32x4.splat(0);
      for (let quad = 0; quad < quads; quad++) {
        const pixels = v128.load(read);
        const a = i8x16.swizzle(pixels, first);
        const b = i8x16.swizzle(pixels, second);
        high = i32x4.add(high, i32x4.dot_i16x8_s(a, v128.load32_splat(weight)));
        high = i32x4.add(high, i32x4.dot_i16x8_s(b, v128.load32_splat(weight, 4)));
        low = i32x4.add(low, i32x4.dot_i16x8_s(a, v128.load32_splat(weight, 8)));
        low = i32x4.add(low, i32x4.dot_i16x8_s(b, v128.load32_splat(weight, 12)));
        read += 12;
        weight += 16;
      }
      const words = i16x8.narrow_i32x4_s(levels(high, low), high);
      v128.store32_lane(out + 3 * <usize>output, i8x16.narrow_i16x8_u(words, words), 0);
    }
    source += sourceStride;
    out += outStride;
  }
}

/**
 * As `narrowColour`, of one channel.
 *
 * @param weights [outputs, quads, 4]: as there
 */
export function narrowGrey(
  source: usize,
  sourceStride: usize,
  rows: i32,
  starts: usize,
  weights: usize,
  quads: i32,
  outputs: i32,
  out: usize,
  outStride: usize,
): void {
  for (let row = 0; row < rows; row++) {
    let weight = weights;
    for (let output = 0; output < outputs; output++) {
      let read = source + <usize>load<i32>(starts + ((<usize>output) << 2));
      let sums = i32x4.splat(0);
      for (let quad = 0; quad < quads; quad++) {
        // Four pixels twice, against [high, high', low, low'].
        const pixels = i16x8.extend_low_i8x16_u(v128.load32_splat(read));
        sums = i32x4.add(sums, i32x4.dot_i16x8_s(pixels, v128.load(weight)));
        read += 4;
        weight += 16;
      }
      const high = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
      const low = i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
      const level = ((high << 11) + low + HALF) >> 22;
      store<u8>(out + <usize>output, <u8>min(255, max(0, level)));
    }
    source += sourceStride;
    out += outStride;
  }
}

/**
 * Shortens columns: each output row is a sum of 2 * `pairs` rows, from the one at `starts[output]` (bytes from
 * `source`). Of the rows beyond those that count the weights are zero; they are read.
 *
 * @param weights [outputs, pairs, 2]: high and low of two rows
 * @param out rows of `width` bytes; up to 15 bytes after the last are written
 */
export function shorten(
  source: usize,
  sourceStride: usize,
  starts: usize,
  weights: usize,
  pairs: i32,
  width: i32,
  outputs: i32,
  out: usize,
): void {
  for (let output = 0; output < outputs; output++) {
    const start = source + <usize>load<i32>(starts + ((<usize>output) << 2));
    for (let x = 0; x < width; x += 16) {
      let read = start + <usize>x;
      let weight = weights;
      let high0 = i32x4.splat(0);
      let high1 = high0;
      let high2 = high0;
      let high3 = high0;
      let low0 = high0;
      let low1 = high0;
      let low2 = high0;
      let low3 = high0;
      for (let pair = 0; pair < pairs; pair++) {
        const upper = v128.load(read);
        const lower = v128.load(read + sourceStride);
        const left = i8x16.shuffle(upper, lower, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        // prettier-ignore
        const right = i8x16.shuffle(upper, lower, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        const bytes0 = i16x8.extend_low_i8x16_u(left);
        const bytes1 = i16x8.extend_high_i8x16_u(left);
        const bytes2 = i16x8.extend_low_i8x16_u(right);
        const bytes3 = i16x8.extend_high_i8x16_u(right);
        const high = v128.load32_splat(weight);
        const low = v128.load32_splat(weight, 4);
        high0 = i32x4.add(high0, i32x4.dot_i16x8_s(bytes0, high));
        high1 = i32x4.add(high1, i32x4.dot_i16x8_s(bytes1, high));
        high2 = i32x4.add(high2, i32x4.dot_i16x8_s(bytes2, high));
        high3 = i32x4.add(high3, i32x4.dot_i16x8_s(bytes3, high));
        low0 = i32x4.add(low0, i32x4.dot_i16x8_s(bytes0, low));
        low1 = i32x4.add(low1, i32x4.dot_i16x8_s(bytes1, low));
        low2 = i32x4.add(low2, i32x4.dot_i16x8_s(bytes2, low));
        low3 = i32x4.add(low3, i32x4.dot_i16x8_s(bytes3, low));
        read += 2 * sourceStride;
        weight += 8;
      }
      const left = i16x8.narrow_i32x4_s(levels(high0, low0), levels(high1, low1));
      const right = i16x8.narrow_i32x4_s(levels(high2, low2), levels(high3, low3));
      v128.store(out + <usize>x, i8x16.narrow_i16x8_u(left, right));
    }
    weights += 8 * <usize>pairs;
    out += <usize>width;
  }
}

/** Means of 2 x 2 pixels of rows without gaps; an odd last row or column stands for itself. */
export function halve(source: usize, width: i32, height: i32, channels: i32, out: usize): void {
  const stride = width * channels;
  for (let y = 0; y < height; y += 2) {
    const upper = source + <usize>(y * stride);
    const lower = y + 1 < height ? upper + <usize>stride : upper;
    for (let x = 0; x < width; x += 2) {
      const left = <usize>(x * channels);
      const right = x + 1 < width ? left + <usize>channels : left;
      for (let c: usize = 0; c < <usize>channels; c++) {
        const above = <i32>load<u8>(upper + left + c) + <i32>load<u8>(upper + right + c);
        const sum = above + <i32>load<u8>(lower + left + c) + <i32>load<u8>(lower + right + c);
        // Halves to even: always up would brighten the image a little with each halving.
        store<u8>(out++, <u8>((sum + 1 + ((sum >> 2) & 1)) >> 2));
      }
    }
  }
}
