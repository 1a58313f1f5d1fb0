/**
 * The eigenvalues of a symmetric matrix: Householder reflections make it tridiagonal, implicit QL turns with Wilkinson's
 * shift make that diagonal (Golub & Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). 4/3 n^3 operations.
 *
 * @param matrix [n, n], row-major, symmetric, of which the lower triangle is read; it is overwritten
 * @returns [n], in no order; NaN for a matrix that is not finite
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  if (!matrix.every(Number.isFinite)) return new Float64Array(n).fill(NaN);
  const { diagonal, beside } = tridiagonal(matrix, n);
  return eigenvaluesOfTridiagonal(diagonal, beside);
}

interface Tridiagonal {
  /** [n] */
  readonly diagonal: Float64Array;
  /** [n] beside[i] is in row i, column i + 1; the last is 0. */
  readonly beside: Float64Array;
}

/** H A H with reflections H = I - 2 v v^T / |v|^2, one for each column: what is below its subdiagonal becomes 0. */
function tridiagonal(a: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  const v = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    diagonal[k] = a[k * n + k]!;
    let squared = 0;
    for (let i = k + 1; i < n; i++) squared += (v[i] = a[i * n + k]!) ** 2;
    const length = Math.sqrt(squared);
    const head = v[k + 1]!;
    // Away from 0, so that nothing cancels.
    const reflected = head > 0 ? -length : length;
    beside[k] = reflected;
    if (length === 0) continue;
    v[k + 1] = head - reflected;
    const scale = 1 / (squared - head * reflected); // 2 / |v|^2
    // A - v w^T - w v^T with p = A v scale, w = p - (scale p^T v / 2) v.
    // The lower triangle stands for both.
    p.fill(0, k + 1);
    for (let i = k + 1; i < n; i++) {
      const own = v[i]!;
      let sum = 0;
      for (let j = k + 1; j < i; j++) {
        const element = a[i * n + j]!;
        sum += element * v[j]!;
        p[j]! += element * own;
      }
      p[i]! += sum + a[i * n + i]! * own;
    }
    let along = 0;
    for (let i = k + 1; i < n; i++) along += (p[i]! *= scale) * v[i]!;
    const half = (scale * along) / 2;
    for (let i = k + 1; i < n; i++) p[i]! -= half * v[i]!;
    for (let i = k + 1; i < n; i++) {
      const [vi, pi] = [v[i]!, p[i]!];
      for (let j = k + 1; j <= i; j++) a[i * n + j]! -= vi * p[j]! + pi * v[j]!;
    }
  }
  if (n > 0) diagonal[n - 1] = a[n * n - 1]!;
  return { diagonal, beside };
}

/** More turns than an eigenvalue has ever needed. */
const MOST_TURNS = 60;

function eigenvaluesOfTridiagonal(d: Float64Array, e: Float64Array): Float64Array {
  for (let first = 0; first < d.length; first++) {
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      const last = endOfBlock(d, e, first);
      if (last === first) break;
      turnBlock(d, e, first, last);
    }
  }
  return d;
}

/** Where the block that starts here ends: an element beside the diagonal is as good as 0. */
function endOfBlock(d: Float64Array, e: Float64Array, first: number): number {
  let last = first;
  while (last < d.length - 1) {
    const size = Math.abs(d[last]!) + Math.abs(d[last + 1]!);
    if (Math.abs(e[last]!) <= Number.EPSILON * size) break;
    last++;
  }
  return last;
}

/** One implicit QL turn of the block first … last. */
function turnBlock(d: Float64Array, e: Float64Array, first: number, last: number): void {
  // Wilkinson's shift: the eigenvalue of the leading 2 x 2 that is nearer to the corner.
  const difference = (d[first + 1]! - d[first]!) / (2 * e[first]!);
  const root = Math.hypot(difference, 1);
  const shift = d[first]! - e[first]! / (difference + (difference >= 0 ? root : -root));
  let g = d[last]! - shift;
  let [sine, cosine, taken] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      // The block falls apart here.
      d[i + 1]! -= taken;
      e[last] = 0;
      return;
    }
    [sine, cosine] = [f / r, g / r];
    g = d[i + 1]! - taken;
    const sum = (d[i]! - g) * sine + 2 * cosine * b;
    taken = sine * sum;
    d[i + 1] = g + taken;
    g = cosine * sum - b;
  }
  d[first]! -= taken;
  e[first] = g;
  e[last] = 0;
}
