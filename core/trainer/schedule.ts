/** Schedules: numbers by step, computed on the host in float64 and fed to the graph. */

/**
 * Linear warm-up, then cosine. At step k of `totalSteps`:
 *
 *     k < warmupSteps:  base * k / (warmupSteps - 1), both ends included (so the first value is 0)
 *     else              end + (base - end) / 2 * (1 + cos(pi * (k - warmupSteps) / (totalSteps - warmupSteps)))
 *
 * as in DINO's training script; the last value is not quite `end`.
 */
export function cosineSchedule(
  base: number,
  end: number,
  totalSteps: number,
  warmupSteps = 0,
): (step: number) => number {
  return (step) => {
    if (step < warmupSteps) return warmupSteps === 1 ? 0 : (base * step) / (warmupSteps - 1);
    const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
    return end + 0.5 * (base - end) * (1 + Math.cos(Math.PI * Math.min(1, progress)));
  };
}

/** By epoch: linear from `start` to `end` over the first `epochs` (both ends included), then `end`. */
export function linearWarmup(start: number, end: number, epochs: number): (epoch: number) => number {
  return (epoch) => {
    const whole = Math.floor(epoch);
    if (whole >= epochs) return end;
    return epochs === 1 ? start : start + ((end - start) * whole) / (epochs - 1);
  };
}
