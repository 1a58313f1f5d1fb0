/**
 * The record that every bench command prints: what was measured, with what, the raw samples, and figures made of
 * them. benchmarks/README.md describes it; bench:diff compares two.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { UsageError } from "./command.ts";
import { median, type Draw } from "./statistics.ts";

/** Raised where a reader of older results would read newer ones wrongly. */
export const FORMAT = 1;

const figure = z.strictObject({
  unit: z.string(),
  /** A change for the worse is a regression. A figure without is told, and not judged; one with is made of samples. */
  better: z.enum(["lower", "higher"]).optional(),
  /** Relative changes below are noise, whatever the samples say. */
  tolerance: z.number().optional(),
  /** More than this, beyond its interval, fails the command. */
  limit: z.number().optional(),
  /** value = scale * median of samples `of` / median of samples `over`, each 1 where absent. */
  of: z.string().optional(),
  over: z.string().optional(),
  scale: z.number().optional(),
  /** The median over the sittings; of a figure that is no such ratio, what it is. */
  value: z.number(),
  /** Of a figure that has an interval of its own. */
  low: z.number().optional(),
  high: z.number().optional(),
});

const result = z.strictObject({
  format: z.literal(FORMAT),
  /** The command's name and arguments: "step", "--precision", "bf16" of `npm run bench:step -- --precision bf16`. */
  command: z.tuple([z.string()], z.string()),
  /** What was measured: only results of equal subjects are compared. */
  subject: z.record(z.string(), z.union([z.string(), z.number()])),
  conditions: z.strictObject({
    date: z.string(),
    /** Full hash; absent outside of a working copy. */
    commit: z.string().optional(),
    /** Tracked files differ from the commit. */
    dirty: z.boolean().optional(),
    versions: z.record(z.string(), z.string()),
    machine: z.strictObject({ cpu: z.string(), cores: z.number(), memoryBytes: z.number() }),
  }),
  /** By name, one list for each sitting: a process of its own, with its samples in the order in which they were taken. */
  samples: z.record(z.string(), z.array(z.array(z.number()).min(1).readonly()).min(1).readonly()),
  figures: z.record(z.string(), figure),
});

const consistent = result.superRefine(({ samples, figures }, context) => {
  for (const [name, { better, of, over }] of Object.entries(figures)) {
    const named = [of, over].filter((one) => one !== undefined);
    const absent = named.filter((one) => !(one in samples));
    const problem = (message: string) =>
      context.addIssue({ code: "custom", path: ["figures", name], message });
    if (better !== undefined && named.length === 0)
      problem("it has `better`, and neither `of` nor `over` names its samples");
    if (absent.length > 0) problem(`there are no samples ${absent.join(", ")}`);
  }
});

export type BenchResult = z.output<typeof result>;
export type Figure = z.output<typeof figure>;
export type Samples = BenchResult["samples"];
/** A figure that is made of samples. */
export type Formula = Omit<Figure, "value" | "low" | "high">;

/** A result from what a file holds, or a UsageError that names `source`. */
export function parseResult(text: string, source: string): BenchResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`${source} is not JSON: give what a bench command wrote with --out`);
  }
  const { success, data, error } = consistent.safeParse(value);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  throw new UsageError(
    `${source} is no result of this version, at ${path.join(".")}: ${message}; measure it again`,
  );
}

export function readResult(path: string): BenchResult {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  return parseResult(text, path);
}

type SamplesOf = (name: string) => readonly number[];

/** The median over sittings of the formula's value in each. All that it names has the same number of sittings. */
export function valueOf(formula: Formula, samples: Samples): number {
  return overSittings(formula, sittingsOf(formula, samples));
}

/**
 * The value with sittings drawn anew, and in each of them samples drawn anew: two sittings differ by more than what
 * one of them shows. Samples that were taken in turn are drawn together.
 */
export function resampledValue(formula: Formula, samples: Samples, draw: Draw): number {
  const sittings = sittingsOf(formula, samples);
  return overSittings(
    formula,
    draw(sittings.length).map((s) => {
      const drawn = new Map<number, readonly number[]>();
      return (name) => {
        const values = sittings[s]!(name);
        const indices = drawn.get(values.length) ?? draw(values.length);
        drawn.set(values.length, indices);
        return indices.map((i) => values[i]!);
      };
    }),
  );
}

function sittingsOf({ of, over }: Formula, samples: Samples): SamplesOf[] {
  return samples[(of ?? over)!]!.map((_, s) => (name) => samples[name]![s]!);
}

function overSittings({ of, over, scale = 1 }: Formula, sittings: readonly SamplesOf[]): number {
  return median(
    sittings.map((samplesOf) => {
      const medianOf = (name: string | undefined) => (name === undefined ? 1 : median(samplesOf(name)));
      return (scale * medianOf(of)) / medianOf(over);
    }),
  );
}

export function figuresOf(
  formulas: Readonly<Record<string, Formula>>,
  samples: Samples,
): BenchResult["figures"] {
  return Object.fromEntries(
    Object.entries(formulas).map(([name, formula]) => [
      name,
      { ...formula, value: valueOf(formula, samples) },
    ]),
  );
}
