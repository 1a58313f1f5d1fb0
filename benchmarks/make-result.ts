/** Makes the result of the command that runs, prints it and writes it. */
import { mkdirSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { basename, dirname } from "node:path";
import { packageRoot } from "../core/package-root.ts";
import { writeFileAtomic } from "../core/run/atomic-file.ts";
import { commitOf, relataVersion, versions } from "../core/run/provenance.ts";
import { tableLines } from "../cli/table.ts";
import { figuresOf, FORMAT, type BenchResult, type Figure, type Formula } from "./result.ts";

export interface Measured extends Pick<BenchResult, "subject" | "samples"> {
  readonly formulas: Readonly<Record<string, Formula>>;
  /** Figures that are no ratio of medians. */
  readonly fitted?: Readonly<Record<string, Figure>>;
  /** Version of libtensorflow, where it computed. */
  readonly library?: string;
}

export function makeResult({ subject, samples, formulas, fitted, library }: Measured): BenchResult {
  return {
    format: FORMAT,
    command: ownCommand(),
    subject,
    conditions: {
      date: new Date().toISOString(),
      ...commitOf(packageRoot),
      versions:
        library === undefined ? { relata: relataVersion(), node: process.versions.node } : versions(library),
      machine: thisMachine(),
    },
    samples,
    figures: { ...figuresOf(formulas, samples), ...fitted },
  };
}

export function thisMachine(): BenchResult["conditions"]["machine"] {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Infinity),
  };
}

/** "step", "--batch", "8": without where the result is written. */
export function ownCommand(): BenchResult["command"] {
  const [, script = "", ...args] = process.argv;
  const out = args.findIndex((arg) => /^--out(=|$)/.test(arg));
  if (out >= 0) args.splice(out, args[out] === "--out" ? 2 : 1);
  return [basename(script, ".ts"), ...args];
}

/**
 * One line of JSON on standard output, a table on standard error, and a file where `out` names one. Gives the exit
 * code: 1 where a figure is above its limit, with all of its interval.
 */
export function emit(result: BenchResult, out: string | undefined): number {
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (out !== undefined) writeResult(result, out);
  const figures = Object.entries(result.figures);
  const columns = [
    { title: "figure" },
    { title: "value", align: "right" as const },
    { title: "unit" },
    { title: "95 %" },
  ];
  const rows = figures.map(([name, { value, unit, low, high }]) => {
    const interval = low === undefined || high === undefined ? "" : `${digits(low)} … ${digits(high)}`;
    return [name, digits(value), unit, interval];
  });
  process.stderr.write(`${tableLines(columns, rows).join("\n")}\n`);
  const above = figures.filter(([, { value, limit = Infinity }]) => value > limit);
  for (const [name, { value, limit }] of above)
    process.stderr.write(`${name} is ${digits(value)}: at most ${limit} is required\n`);
  const sure = above.filter(([, { value, low = value, limit = Infinity }]) => low > limit);
  if (sure.length < above.length)
    process.stderr.write("an interval that holds the limit decides nothing: measure for longer\n");
  return sure.length > 0 ? 1 : 0;
}

const digits = (value: number) => value.toPrecision(4);

/** Makes the folder too. */
export function writeResult(result: BenchResult, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  // A list of samples is one line.
  const text = JSON.stringify(result, null, 2).replace(/\[[^[\]{}]*\]/g, (list) => list.replace(/\s+/g, " "));
  writeFileAtomic(path, `${text}\n`);
}
