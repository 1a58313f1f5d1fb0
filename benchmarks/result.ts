/**
 * The record that every bench command prints: what was measured, with what, the raw samples, and figures made of
 * them. benchmarks/README.md describes it; bench:diff compares two.
 */
import { mkdirSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import { packageRoot } from "../core/package-root.ts";
import { writeFileAtomic } from "../core/run/atomic-file.ts";
import { commitOf, versions } from "../core/run/provenance.ts";
import { median } from "./statistics.ts";

const FORMAT = 1;

export interface BenchResult {
  readonly format: typeof FORMAT;
  /** The command: "step" of bench:step. */
  readonly benchmark: string;
  /** What was measured: only results of equal subjects are compared. */
  readonly subject: Readonly<Record<string, string | number>>;
  readonly conditions: Conditions;
  /** By name, a list for each sitting: each in a process of its own, samples in the order in which they were taken. */
  readonly samples: Samples;
  readonly figures: Readonly<Record<string, Figure>>;
}

export type Samples = Readonly<Record<string, readonly (readonly number[])[]>>;

export interface Conditions {
  readonly date: string;
  /** Absent outside of a working copy. */
  readonly commit?: string;
  /** Tracked files differ from the commit. */
  readonly dirty?: boolean;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryBytes: number };
}

/** scale * median of samples `of` / median of samples `over`, each 1 where absent. */
export interface Formula {
  readonly of?: string;
  readonly over?: string;
  readonly scale?: number;
}

export interface FigureSpec extends Formula {
  readonly unit: string;
  /** A change for the worse is a regression; a figure without is told, and not judged. */
  readonly better?: "lower" | "higher";
}

export interface Figure extends FigureSpec {
  /** The median over the sittings. */
  readonly value: number;
}

/** `library` is the version of what computes, as an engine describes it. */
export function makeResult(
  measured: Pick<BenchResult, "benchmark" | "subject" | "samples"> & {
    readonly library: string;
    readonly figures: Readonly<Record<string, FigureSpec>>;
  },
): BenchResult {
  const { benchmark, subject, samples, figures, library } = measured;
  return {
    format: FORMAT,
    benchmark,
    subject,
    conditions: conditions(library),
    samples,
    figures: withValues(figures, samples),
  };
}

export function withValues(
  figures: Readonly<Record<string, FigureSpec>>,
  samples: Samples,
): BenchResult["figures"] {
  return Object.fromEntries(
    Object.entries(figures).map(([name, spec]) => [name, { ...spec, value: valueOf(spec, samples) }]),
  );
}

function valueOf(spec: FigureSpec, samples: Samples): number {
  const sittings = samples[(spec.of ?? spec.over)!]!.length;
  return median(Array.from({ length: sittings }, (_, s) => sittingValue(spec, (name) => samples[name]![s]!)));
}

/** The formula for one sitting's samples. */
export function sittingValue(
  { of, over, scale = 1 }: Formula,
  samplesOf: (name: string) => readonly number[],
): number {
  const medianOf = (name: string | undefined) => (name === undefined ? 1 : median(samplesOf(name)));
  return (scale * medianOf(of)) / medianOf(over);
}

function conditions(library: string): Conditions {
  return {
    date: new Date().toISOString(),
    ...commitOf(packageRoot),
    versions: versions(library),
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: availableParallelism(),
      memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity),
    },
  };
}

/** One line of JSON on standard output, and a file where `out` names one. */
export function emit(result: BenchResult, out: string | undefined): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (out === undefined) return;
  mkdirSync(dirname(out), { recursive: true });
  // A list of samples is one line.
  const text = JSON.stringify(result, null, 2).replace(/\[[^[\]{}]*\]/g, (list) => list.replace(/\s+/g, " "));
  writeFileAtomic(out, `${text}\n`);
}
