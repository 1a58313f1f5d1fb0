/**
 * npm run bench:guard -- [name …] [--results benchmarks/results] [--out folder] [--threshold 2]
 *
 * Runs again the commands of committed results, or of the named ones, and compares each as bench:diff does. What cannot
 * be measured or compared is told, and the others go on. The exit code is 1 where a figure got worse, else 2 where
 * something could not be compared. `--out` keeps the new results, such as to commit them.
 */
import { basename, join } from "node:path";
import { command, EXIT_USAGE, numberOf, parseFlags, progress, UsageError } from "./command.ts";
import { report, resultsIn } from "./diff-report.ts";
import { thisMachine, writeResult } from "./make-result.ts";
import { readResult, type BenchResult } from "./result.ts";
import { runBench } from "./sittings.ts";

await command(async () => {
  const { values, positionals } = parseFlags({
    allowPositionals: true,
    options: {
      results: { type: "string", default: join(import.meta.dirname, "results") },
      out: { type: "string" },
      threshold: { type: "string", default: "2" },
    },
  });
  const threshold = numberOf("threshold", values.threshold, 0) / 100;
  const { results, out } = values;
  const there = resultsIn(results).map((file) => basename(file, ".json"));
  const unknown = positionals.find((name) => !there.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`there is no result ${unknown}: give some of ${there.join(", ")}`);
  const codes: number[] = [];
  for (const name of positionals.length > 0 ? positionals : there) {
    try {
      const before = readResult(join(results, `${name}.json`));
      const after = await measuredAgain(name, before);
      if (out !== undefined) writeResult(after, join(out, `${name}.json`));
      codes.push(report([{ name, before, after }], threshold) ? 1 : 0);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      process.stderr.write(`${error.message}\n`);
      codes.push(EXIT_USAGE);
    }
  }
  return [1, EXIT_USAGE].find((code) => codes.includes(code)) ?? 0;
});

/** Throws a UsageError before minutes are spent on what cannot be compared. */
async function measuredAgain(name: string, before: BenchResult): Promise<BenchResult> {
  const [was, is] = [before.conditions.machine, thisMachine()];
  if (was.cpu !== is.cpu || was.cores !== is.cores) {
    const machines = [was, is].map(({ cpu, cores }) => `${cores} cores of ${cpu}`);
    throw new UsageError(
      `${name} was measured on ${machines.join(", and this machine has ")}: measure a result of this one first`,
    );
  }
  progress(`${name}: bench:${before.command.join(" ")}`);
  return runBench(before.command);
}
