/** Position embeddings between the forms that files have, and to other grids. */

/** Of what lies in a file: `front` rows before those of the patches. */
export interface PositionForm {
  /** Rows of the class token and of registers: 0, 1 or 1 + registers. */
  readonly front: number;
  /** Patches along a side. */
  readonly side: number;
}

/**
 * What `rows` positions of a square grid are of: the class token and the patches (DINO, DINOv2, timm), the patches
 * alone (timm's no_embed_class), or the class token, the registers and the patches. Undefined where none fits.
 */
export function positionForm(rows: number, registers: number): PositionForm | undefined {
  for (const front of new Set([1, 0, 1 + registers])) {
    const side = Math.round(Math.sqrt(rows - front));
    if (side > 0 && side * side === rows - front) return { front, side };
  }
  return undefined;
}

/**
 * Square position embeddings at another size, as timm resizes those of checkpoints (`resample_abs_pos_embed`): PyTorch's
 * bicubic interpolation with antialiasing, A = -0.5, whose kernel is stretched where the grid shrinks, and whose
 * weights sum to 1 at the borders.
 *
 * @param positions [from * from, dim], row-major
 * @returns [to * to, dim]
 */
export function resizePositions(
  positions: Float32Array,
  dim: number,
  from: number,
  to: number,
): Float32Array {
  if (from === to) return positions;
  const weights = antialiasedBicubic(from, to);
  const rows = new Float64Array(to * from * dim);
  alongAxis(weights, from, to, (target, source, weight) => {
    for (let i = 0; i < from * dim; i++)
      rows[target * from * dim + i]! += weight * positions[source * from * dim + i]!;
  });
  const out = new Float64Array(to * to * dim);
  for (let row = 0; row < to; row++) {
    alongAxis(weights, from, to, (target, source, weight) => {
      for (let i = 0; i < dim; i++)
        out[(row * to + target) * dim + i]! += weight * rows[(row * from + source) * dim + i]!;
    });
  }
  return Float32Array.from(out);
}

function alongAxis(
  weights: Float64Array,
  from: number,
  to: number,
  add: (target: number, source: number, weight: number) => void,
): void {
  for (let target = 0; target < to; target++) {
    for (let source = 0; source < from; source++) {
      const weight = weights[target * from + source]!;
      if (weight !== 0) add(target, source, weight);
    }
  }
}

/** The [to, from] matrix of one axis. */
function antialiasedBicubic(from: number, to: number): Float64Array {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const matrix = new Float64Array(to * from);
  for (let target = 0; target < to; target++) {
    const centre = scale * (target + 0.5);
    const row = matrix.subarray(target * from, (target + 1) * from);
    const first = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const end = Math.min(from, Math.floor(centre + 2 * stretch + 0.5));
    for (let source = first; source < end; source++) row[source] = cubic((source + 0.5 - centre) / stretch);
    const sum = row.reduce((a, b) => a + b, 0);
    for (let source = first; source < end; source++) row[source]! /= sum;
  }
  return matrix;
}

/** Keys' cubic convolution kernel with A = -0.5. */
function cubic(x: number, a = -0.5): number {
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance ** 2 + 1;
  if (distance < 2) return a * (((distance - 5) * distance + 8) * distance - 4);
  return 0;
}
