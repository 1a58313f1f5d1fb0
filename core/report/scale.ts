/** Where a chart's values lie: stretches of a line, axes and their ticks. */
import { number } from "./format.ts";
import type { Point } from "./curves.ts";

/** Points drawn per line at most. */
export const STRETCHES = 200;

/** The points of a stretch of the x axis: their mean and range; NaN where no value is finite. */
export interface Stretch {
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** At most STRETCHES stretches of equally many points; with few points, one for each. */
export function condense(points: readonly Point[]): Stretch[] {
  const count = Math.min(points.length, STRETCHES);
  const per = points.length / count;
  return Array.from({ length: count }, (_, i) => {
    const part = points.slice(Math.floor(i * per), Math.floor((i + 1) * per));
    const x = part.reduce((sum, p) => sum + p.x, 0) / part.length;
    const finite = part.map(({ y }) => y).filter(Number.isFinite);
    if (finite.length === 0) return { x, mean: NaN, low: NaN, high: NaN };
    const mean = finite.reduce((sum, v) => sum + v, 0) / finite.length;
    return { x, mean, low: Math.min(...finite), high: Math.max(...finite) };
  });
}

/** Stretches in a row that have a value. */
export function runs(stretches: readonly Stretch[]): Stretch[][] {
  const found: Stretch[][] = [[]];
  for (const stretch of stretches) {
    if (Number.isFinite(stretch.mean)) found.at(-1)!.push(stretch);
    else if (found.at(-1)!.length > 0) found.push([]);
  }
  return found.filter((run) => run.length > 0);
}

export interface Axis {
  readonly low: number;
  readonly high: number;
}

/**
 * From the least to the greatest finite value, never empty.
 *
 * @param air share of that range left free on both sides; values from 0 up stay from 0 up.
 */
export function axisOf(values: readonly number[], air: number): Axis {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return { low: 0, high: 1 };
  const room = high > low ? (high - low) * air : Math.abs(high) * 0.1 || 1;
  return { low: low >= 0 ? Math.max(0, low - room) : low - room, high: high + room };
}

export interface Tick {
  readonly value: number;
  readonly text: string;
}

/** At most `most` round values (1, 2 or 5 times a power of ten apart) of the axis. */
export function ticksOf({ low, high }: Axis, most: number, percent: boolean): Tick[] {
  const slack = (high - low) * 0.01;
  const power = 10 ** (Math.floor(Math.log10(high - low)) - 1);
  for (const step of [1, 2, 5, 10, 20, 50, 100].map((multiple) => multiple * power)) {
    const first = Math.ceil((low - slack) / step);
    const count = Math.floor((high + slack) / step) - first + 1;
    if (count > most) continue;
    return Array.from({ length: count }, (_, i) => {
      const value = (first + i) * step;
      return { value: Math.min(high, Math.max(low, value)), text: tickText(value, step, percent) };
    });
  }
  return [];
}

/** As many decimals as the step needs. */
function tickText(value: number, step: number, percent: boolean): string {
  if (!percent && step < 1e-4) return number(value);
  const scale = percent ? 100 : 1;
  const decimals = Math.max(0, -Math.floor(Math.log10(step * scale) + 1e-9));
  return (value * scale).toFixed(decimals) + (percent ? "\u00a0%" : "");
}
