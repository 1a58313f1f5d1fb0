/**
 * Solves A x = b for a symmetric positive definite A, by A = L L^T.
 *
 * @param a [n, n], row-major; its lower triangle is overwritten by L
 * @param b [n]
 * @returns [n] x
 * @throws Error if A is not positive definite
 */
export function choleskySolve(a: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
      if (i !== j) a[i * n + j] = sum / a[j * n + j]!;
      else if (sum > 0) a[i * n + i] = Math.sqrt(sum);
      else throw new Error(`choleskySolve: the matrix is not positive definite at row ${i}`);
    }
  }
  const x = b.slice();
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= a[i * n + k]! * x[k]!; // L y = b
    x[i]! /= a[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    x[i]! /= a[i * n + i]!; // L^T x = y
    for (let k = 0; k < i; k++) x[k]! -= a[i * n + k]! * x[i]!;
  }
  return x;
}
