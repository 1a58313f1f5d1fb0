/**
 * A B^T for row-major A [rowsA, dim] and B [rowsB, dim]: [rowsA, rowsB].
 * An engine may give its own, as long as equal rows give equal products (ties are broken by index).
 */
export type MatMul = (
  a: Float32Array,
  b: Float32Array,
  rowsA: number,
  rowsB: number,
  dim: number,
) => Float32Array | Promise<Float32Array>;

/** Rows of A and of B that one block reads over and over: both fit the cache up to a few thousand columns. */
const BLOCK = 48;

/** `MatMul` in plain TypeScript: sums in double precision, about 2 GMAC/s on one core. */
export function matMul(
  a: Float32Array,
  b: Float32Array,
  rowsA: number,
  rowsB: number,
  dim: number,
): Float32Array {
  const out = new Float32Array(rowsA * rowsB);
  for (let j = 0; j < rowsB; j += BLOCK) {
    for (let i = 0; i < rowsA; i += BLOCK) {
      block(a, b, out, i, Math.min(i + BLOCK, rowsA), j, Math.min(j + BLOCK, rowsB), rowsB, dim);
    }
  }
  return out;
}

/** Three rows of A against three of B at a time, so that each number read is used three times. */
function block(
  a: Float32Array,
  b: Float32Array,
  out: Float32Array,
  i0: number,
  i1: number,
  j0: number,
  j1: number,
  rowsB: number,
  dim: number,
): void {
  let i = i0;
  for (; i + 3 <= i1; i += 3) {
    const a0 = i * dim;
    const a1 = a0 + dim;
    const a2 = a1 + dim;
    let j = j0;
    for (; j + 3 <= j1; j += 3) {
      const b0 = j * dim;
      const b1 = b0 + dim;
      const b2 = b1 + dim;
      let s00 = 0;
      let s01 = 0;
      let s02 = 0;
      let s10 = 0;
      let s11 = 0;
      let s12 = 0;
      let s20 = 0;
      let s21 = 0;
      let s22 = 0;
      for (let d = 0; d < dim; d++) {
        const x0 = a[a0 + d]!;
        const x1 = a[a1 + d]!;
        const x2 = a[a2 + d]!;
        const y0 = b[b0 + d]!;
        const y1 = b[b1 + d]!;
        const y2 = b[b2 + d]!;
        s00 += x0 * y0;
        s01 += x0 * y1;
        s02 += x0 * y2;
        s10 += x1 * y0;
        s11 += x1 * y1;
        s12 += x1 * y2;
        s20 += x2 * y0;
        s21 += x2 * y1;
        s22 += x2 * y2;
      }
      const o = i * rowsB + j;
      out[o] = s00;
      out[o + 1] = s01;
      out[o + 2] = s02;
      out[o + rowsB] = s10;
      out[o + rowsB + 1] = s11;
      out[o + rowsB + 2] = s12;
      out[o + 2 * rowsB] = s20;
      out[o + 2 * rowsB + 1] = s21;
      out[o + 2 * rowsB + 2] = s22;
    }
    for (; j < j1; j++) for (let r = i; r < i + 3; r++) out[r * rowsB + j] = dot(a, b, r * dim, j * dim, dim);
  }
  for (; i < i1; i++) for (let j = j0; j < j1; j++) out[i * rowsB + j] = dot(a, b, i * dim, j * dim, dim);
}

/** Sums in the same order as `block`: equal rows give equal products wherever they lie. */
function dot(a: Float32Array, b: Float32Array, startA: number, startB: number, dim: number): number {
  let sum = 0;
  for (let d = 0; d < dim; d++) sum += a[startA + d]! * b[startB + d]!;
  return sum;
}
