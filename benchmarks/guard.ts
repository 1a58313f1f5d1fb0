/**
 * npm run bench:guard -- [name …] [--results benchmarks/results] [--out folder] [--threshold 2]
 *
 * Runs again the commands of committed results, or of the named ones, and compares as bench:diff does: the exit code
 * is 1 where a figure got worse. `--out` keeps the new results, such as to commit them.
 */
import { basename, join } from "node:path";
import { command, numberOf, parseFlags, progress, UsageError } from "./command.ts";
import { report, resultsIn, type Pair } from "./diff-report.ts";
import { thisMachine, writeResult } from "./make-result.ts";
import { readResult } from "./result.ts";
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
  const pairs: Pair[] = [];
  for (const name of positionals.length > 0 ? positionals : there) {
    const before = readResult(join(results, `${name}.json`));
    // Before minutes are spent on what cannot be compared.
    const [was, is] = [before.conditions.machine, thisMachine()];
    if (was.cpu !== is.cpu || was.cores !== is.cores) {
      const machines = [was, is].map(({ cpu, cores }) => `${cores} cores of ${cpu}`);
      throw new UsageError(
        `${name} was measured on ${machines.join(", and this machine has ")}: measure a result of this one first`,
      );
    }
    progress(`${name}: bench:${before.command.join(" ")}`);
    const after = await runBench(before.command);
    pairs.push({ name, before, after });
    if (out !== undefined) writeResult(after, join(out, `${name}.json`));
  }
  return report(pairs, threshold) ? 1 : 0;
});
