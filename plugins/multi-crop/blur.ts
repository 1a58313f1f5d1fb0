/**
 * Gaussian blur as PIL computes it: a box filter of fractional radius applied three times along the width and
 * three times along the height, the edge pixel standing in for what lies beyond it.
 *
 * Three box filters along one side are one banded S x S matrix K, so a blur is x K^T followed by K x. K differs
 * from image to image only in its entries, and only its band is multiplied: tiles of T = max(32, 2 reach + 1) rows,
 * the last of them with the rest, against the columns within `reach` of them. With S = 224 and sigma <= 2 (reach 6)
 * that is up to 2 * 2 * 3 S^2 (T + 2 reach) = 26 MFLOP an image, where the full products are 2 * 2 * 3 S^3 = 135
 * MFLOP. Sums of shifted images would be 26 passes over the image.
 */
import { constant, float32, tf } from "../../core/plugin.ts";

const TILE = 32;

/** Rows [start, end) of K; they are zero outside the columns [from, to). */
interface KernelTile {
  readonly from: number;
  readonly to: number;
  /** [n, end - start, to - from] */
  readonly kernel: tf.Tensor3D;
}

/**
 * Blurs each image with its own radius.
 *
 * @param images [n, 3, H, W]
 * @param radii [n, 1, 1], box radii in pixels (`boxRadius(sigma)`), 0 <= radius <= maxRadius; 0 leaves the image
 *   as it is
 * @param maxRadius the largest radius that can occur, any size: it fixes the width of the band
 * @returns [n, 3, H, W]
 */
export function blur(images: tf.Tensor4D, radii: tf.Tensor3D, maxRadius: number): tf.Tensor4D {
  return float32(() => {
    const [n, channels, height, width] = images.shape;
    const reach = 3 * Math.ceil(maxRadius);
    const rows = tf.reshape(images, [n, channels * height, width]);
    const across = kernelTiles(radii, width, reach).map(({ from, to, kernel }) =>
      tf.matMul(tf.slice(rows, [0, 0, from], [n, channels * height, to - from]), kernel, false, true),
    );
    const planes = tf.reshape(tf.concat(across, 2), [n * channels, height, width]);
    const down = kernelTiles(radii, height, reach).map(({ from, to, kernel }) =>
      tf.matMul(
        perChannel(kernel, channels),
        tf.slice(planes, [0, from, 0], [n * channels, to - from, width]),
      ),
    );
    return tf.reshape(tf.concat(down, 1), images.shape);
  });
}

/** [n, T, R] -> [n * channels, T, R]. Explicit: tfjs's cpu backend multiplies broadcast batches wrongly. */
function perChannel(kernel: tf.Tensor3D, channels: number): tf.Tensor3D {
  const [n, rows, columns] = kernel.shape;
  const repeated = tf.tile(tf.expandDims(kernel, 1), [1, channels, 1, 1]);
  return tf.reshape(repeated, [n * channels, rows, columns]);
}

/**
 * The band of K in tiles. `reach` rows at either end, where edge pixels stand in for what lies beyond, are those of the
 * K of an image of 2 reach + 1 pixels; its middle row holds the taps of all other rows.
 */
function kernelTiles(radii: tf.Tensor3D, size: number, reach: number): KernelTile[] {
  const n = radii.shape[0];
  const least = 2 * reach + 1;
  if (size < least) return [{ from: 0, to: size, kernel: gaussianMatrix(radii, size) }];
  const small = gaussianMatrix(radii, least);
  const taps = tf.slice(small, [0, reach, 0], [n, 1, least]);

  // The last one takes the rest, so that none is smaller than the band needs.
  const tile = Math.max(TILE, least);
  const count = Math.max(1, Math.floor(size / tile));
  return Array.from({ length: count }, (_, i) => {
    const start = i * tile;
    const end = i === count - 1 ? size : start + tile;
    const from = Math.max(0, start - reach);
    const to = Math.min(size, end + reach);
    const [first, last] = [Math.max(start, reach), Math.min(end, size - reach)];
    const rest = to - from - least;
    const edge = (row: number) => tf.slice(small, [0, row, 0], [n, reach, least]);
    const parts = [
      ...(start < first ? [padded(edge(0), 0, rest)] : []),
      shifted(taps, last - first, to - from),
      ...(last < end ? [padded(edge(reach + 1), rest, 0)] : []),
    ];
    return { from, to, kernel: tf.concat(parts, 1) };
  });
}

/**
 * Row i holds the taps from column i on: [n, rows, columns]. Copies of the taps, each with zeros behind it up to
 * columns + 1 values, are laid end to end; cut into rows of `columns` values, each begins one value later in its copy.
 *
 * @param taps [n, 1, taps]
 */
function shifted(taps: tf.Tensor3D, rows: number, columns: number): tf.Tensor3D {
  const [n, , count] = taps.shape;
  const copies = tf.tile(padded(taps, 0, columns + 1 - count), [1, 1, rows]);
  return tf.reshape(tf.slice(copies, [0, 0, 0], [n, 1, rows * columns]), [n, rows, columns]);
}

/** Zeros on either side of each row. */
function padded(rows: tf.Tensor3D, left: number, right: number): tf.Tensor3D {
  // prettier-ignore
  return tf.pad(rows, [[0, 0], [0, 0], [left, right]]);
}

/** K = B^3, [n, size, size]. */
function gaussianMatrix(radii: tf.Tensor3D, size: number): tf.Tensor3D {
  const box = boxMatrix(radii, size);
  return tf.matMul(tf.matMul(box, box), box);
}

/**
 * The matrix B of one box filter of radius r, [n, size, size]: pixel k weighs w(i - k) in output i, where
 * w(d) = clip(r + 1 - |d|, 0, 1) / (2 r + 1). The first and the last pixel also stand in for everything beyond
 * them, and sum_{d >= d0} clip(r + 1 - d, 0, 1) = max(0, r + 1 - d0) for d0 >= 0: their columns have no upper clip.
 */
function boxMatrix(radii: tf.Tensor3D, size: number): tf.Tensor3D {
  const positions = Float32Array.from({ length: size }, (_, i) => i);
  const ceilings = new Float32Array(size).fill(1);
  ceilings[0] = ceilings[size - 1] = 1e9;
  const column = constant(positions, [1, 1, size]);
  const distance = tf.abs(tf.sub(constant(positions, [1, size, 1]), column));
  const weights = tf.minimum(tf.relu(tf.sub(tf.add(radii, 1), distance)), constant(ceilings, [1, 1, size]));
  return tf.div(weights, tf.add(tf.mul(radii, 2), 1));
}
