/** What changed between two results of the same measurement. */
import { resampledValue, type BenchResult, type Figure } from "./result.ts";
import { bootstrap, type Estimate } from "./statistics.ts";

export interface Change {
  readonly figure: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  /** after / before - 1. Both ends are the value itself where both results have one sample. */
  readonly change: Estimate;
  readonly verdict: "better" | "worse" | "same";
}

/** Why two results may not be compared; undefined where they may. */
export function incomparable(before: BenchResult, after: BenchResult): string | undefined {
  const was = measuredOf(before);
  const is = measuredOf(after);
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  const different = names
    .filter((name) => was[name] !== is[name])
    .map((name) => `${name} ${was[name] ?? "nothing"} before and ${is[name] ?? "nothing"} after`);
  if (different.length > 0) return different.join(", ");
  const missing = Object.keys(judgedOf(before)).filter((name) => !(name in judgedOf(after)));
  return missing.length > 0 ? `there is no ${missing.join(", ")} after` : undefined;
}

/** What has to be equal: shares of one processor's speed say nothing of another's. */
function measuredOf({ command, subject, conditions }: BenchResult): Record<string, string | number> {
  const { cpu, cores } = conditions.machine;
  return { benchmark: command[0], ...subject, cpu, cores };
}

/** Of every figure that is judged. Changes up to `threshold`, or the figure's own tolerance, are none. */
export function changesOf(before: BenchResult, after: BenchResult, threshold: number): Change[] {
  return Object.entries(judgedOf(before)).map(([name, figure]) => {
    const { unit, better, tolerance = 0 } = figure;
    // Each by its own formula: what is the fastest of others may be another one after.
    const now = after.figures[name]!;
    const change = bootstrap(
      now.value / figure.value - 1,
      (draw) => resampledValue(now, after.samples, draw) / resampledValue(figure, before.samples, draw) - 1,
    );
    const beyond =
      Math.abs(change.value) > Math.max(threshold, tolerance) && (change.low > 0 || change.high < 0);
    const verdict = !beyond ? "same" : change.value > 0 === (better === "higher") ? "better" : "worse";
    return { figure: name, unit, before: figure.value, after: now.value, change, verdict };
  });
}

function judgedOf({ figures }: BenchResult): Record<string, Figure> {
  return Object.fromEntries(Object.entries(figures).filter(([, { better }]) => better !== undefined));
}
