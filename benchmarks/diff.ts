/**
 * npm run bench:diff -- before.json after.json [--threshold 2]
 *
 * Compares two results of bench commands, or two folders of them by file name. Tells the change of every judged
 * figure with its 95 % interval; the exit code is 1 where one got worse by more than noise and `threshold` percent.
 */
import { command, numberOf, parseFlags, UsageError } from "./command.ts";
import { pairsOf, report } from "./diff-report.ts";

await command(() => {
  const { values, positionals } = parseFlags({
    allowPositionals: true,
    options: { threshold: { type: "string", default: "2" } },
  });
  const [before, after, ...more] = positionals;
  if (before === undefined || after === undefined || more.length > 0)
    throw new UsageError("give two files, or two folders, that bench commands wrote: before and after");
  const threshold = numberOf("threshold", values.threshold, 0) / 100;
  return report(pairsOf(before, after), threshold) ? 1 : 0;
});
