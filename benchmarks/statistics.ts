/** Medians of noisy times, and how far they can be trusted. */
import { Random } from "../core/random.ts";

/** A figure with the interval that holds 95 % of its bootstrap. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Draws with replacement that an interval is made of. */
const ROUNDS = 2000;
const LEVEL = 0.95;

/** Of at least one value. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Between the two values that are next to it, 0 <= q <= 1. Throws on no values. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RangeError("no values have no quantile");
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - low);
}

/**
 * A statistic and its percentile interval. `resampled` draws its samples anew, with replacement, by what it is given:
 * n -> n indices below n. The same samples always give the same interval.
 */
export function bootstrap(value: number, resampled: (draw: Draw) => number): Estimate {
  const random = new Random(0, "bootstrap");
  const draw: Draw = (n) => Array.from({ length: n }, () => random.integer(0, n - 1));
  const values = Array.from({ length: ROUNDS }, () => resampled(draw));
  const tail = (1 - LEVEL) / 2;
  return { value, low: quantile(values, tail), high: quantile(values, 1 - tail) };
}

export type Draw = (count: number) => number[];

/**
 * median(numerators) / median(denominators) of samples that were taken in turn, one of each. The machine's speed is
 * in both of a pair, so pairs are drawn together. Throws where there is not one of each.
 */
export function ratioOfMedians(numerators: readonly number[], denominators: readonly number[]): Estimate {
  if (numerators.length !== denominators.length)
    throw new RangeError(`${numerators.length} and ${denominators.length} samples are no pairs`);
  return bootstrap(median(numerators) / median(denominators), (draw) => {
    const drawn = draw(numerators.length);
    return median(drawn.map((i) => numerators[i]!)) / median(drawn.map((i) => denominators[i]!));
  });
}

/** The exponent a of values = c sizes^a: the least-squares slope of the logarithms. */
export function exponentOf(sizes: readonly number[], values: readonly number[]): number {
  return slope(sizes.map(Math.log), values.map(Math.log));
}

function slope(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [centerX, centerY] = [mean(x), mean(y)];
  const products = x.map((value, i) => (value - centerX) * (y[i]! - centerY));
  return mean(products) / mean(x.map((value) => (value - centerX) ** 2));
}
