/**
 * L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989): minimises a smooth convex function from its values and
 * gradients, by the curvature that the last steps showed.
 */

/** A function's value and gradient at a point. */
export interface ValueAndGradient {
  readonly value: number;
  readonly gradient: Float64Array;
}

export interface Minimum {
  readonly at: Float64Array;
  readonly value: number;
  readonly steps: number;
  /** The gradient is as small as was asked; else the steps ran out, or none went down any more. */
  readonly converged: boolean;
}

/** Steps whose curvature is remembered. */
const MEMORY = 10;
/** A step has to go down by this share of what the slope promises (Armijo). */
const SUFFICIENT = 1e-4;
const SHORTEST = 1e-10;
/** Values may be sums of float32 numbers: differences below this share of them say nothing. */
const ROUNDING = 1e-7;

/**
 * @param evaluate gives a gradient of its own at each call
 * @param options.tolerance of the gradient's largest part; as a share of the value, where that is below 1
 */
export async function minimise(
  evaluate: (at: Float64Array) => ValueAndGradient | Promise<ValueAndGradient>,
  start: Float64Array,
  { tolerance, mostSteps }: { tolerance: number; mostSteps: number },
): Promise<Minimum> {
  let at = start;
  let { value, gradient } = await evaluate(at);
  const past: Curvature[] = [];
  for (let steps = 0; ; steps++) {
    const least = tolerance * Math.min(1, Math.abs(value));
    const converged = gradient.every((g) => Math.abs(g) <= least);
    if (converged || steps === mostSteps) return { at, value, steps, converged };
    let direction = descent(gradient, past);
    let slope = dot(direction, gradient);
    if (!(slope < 0)) {
      past.length = 0;
      direction = descent(gradient, past);
      slope = dot(direction, gradient);
    }
    // Without curvature the gradient's length says nothing of the step's.
    let length = past.length > 0 ? 1 : Math.min(1, 1 / Math.sqrt(-slope));
    let next: Float64Array;
    let there: ValueAndGradient;
    for (; ; length /= 2) {
      next = at.map((x, i) => x + length * direction[i]!);
      there = await evaluate(next);
      if (there.value <= value + SUFFICIENT * length * slope + ROUNDING * Math.abs(value)) break;
      if (length < SHORTEST) return { at, value, steps, converged };
    }
    remember(past, at, gradient, next, there.gradient);
    at = next;
    ({ value, gradient } = there);
  }
}

/** How the gradient changed over one step. */
interface Curvature {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** 1 / (step . change) */
  readonly rho: number;
}

function remember(
  past: Curvature[],
  at: Float64Array,
  gradient: Float64Array,
  next: Float64Array,
  nextGradient: Float64Array,
): void {
  const step = next.map((x, i) => x - at[i]!);
  const change = nextGradient.map((g, i) => g - gradient[i]!);
  const along = dot(step, change);
  // Rounding may show a curvature that is not positive: of no use.
  if (along <= 1e-12 * dot(change, change)) return;
  past.push({ step, change, rho: 1 / along });
  if (past.length > MEMORY) past.shift();
}

/** -H^-1 gradient, by the two loops over what is remembered (Nocedal 1980). */
function descent(gradient: Float64Array, past: readonly Curvature[]): Float64Array {
  const q = gradient.map((g) => -g);
  const alphas = new Float64Array(past.length);
  for (let i = past.length - 1; i >= 0; i--) {
    const { step, change, rho } = past[i]!;
    addScaled(q, -(alphas[i] = rho * dot(step, q)), change);
  }
  const last = past.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.change, last.change));
    for (let i = 0; i < q.length; i++) q[i]! *= scale;
  }
  past.forEach(({ step, change, rho }, i) => addScaled(q, alphas[i]! - rho * dot(change, q), step));
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(to: Float64Array, factor: number, what: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += factor * what[i]!;
}
