/** Pairs of results by file name, and the table of what changed. */
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { tableLines } from "../cli/table.ts";
import { UsageError } from "./command.ts";
import { changesOf, incomparable, type Change } from "./difference.ts";
import { readResult, type BenchResult } from "./result.ts";

export interface Pair {
  readonly name: string;
  readonly before: BenchResult;
  readonly after: BenchResult;
}

/** Two files, or the files of two folders that have the same name. Tells on standard error which have no partner. */
export function pairsOf(before: string, after: string): Pair[] {
  const folders = [before, after].map(isFolder);
  if (folders[0] !== folders[1])
    throw new UsageError(`${before} and ${after}: give two files, or two folders`);
  if (!folders[0])
    return [{ name: basename(after, ".json"), before: readResult(before), after: readResult(after) }];
  const [was, is] = [before, after].map(resultsIn) as [string[], string[]];
  for (const name of was) if (!is.includes(name)) process.stderr.write(`${name} is in ${before} only\n`);
  for (const name of is) if (!was.includes(name)) process.stderr.write(`${name} is in ${after} only\n`);
  const both = was.filter((name) => is.includes(name));
  if (both.length === 0) throw new UsageError(`${before} and ${after} have no result of the same name`);
  return both.map((name) => ({
    name: basename(name, ".json"),
    before: readResult(join(before, name)),
    after: readResult(join(after, name)),
  }));
}

/** File names of the results in a folder. */
export function resultsIn(folder: string): string[] {
  if (!isFolder(folder)) throw new UsageError(`${folder} is no folder of results`);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort();
}

function isFolder(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) throw new UsageError(`${path} is not there: give what a bench command wrote with --out`);
  return stats.isDirectory();
}

/** Prints what changed. Gives whether a figure got worse. Throws a UsageError for a pair that cannot be compared. */
export function report(pairs: readonly Pair[], threshold: number): boolean {
  for (const { name, before, after } of pairs) {
    const reason = incomparable(before, after);
    if (reason !== undefined) throw new UsageError(`${name}: measured were different things: ${reason}`);
  }
  const columns = [
    ...[{ title: "result" }, { title: "figure" }, { title: "unit" }],
    ...["before", "after", "change"].map((title) => ({ title, align: "right" as const })),
    ...[{ title: "95 %" }, { title: "" }],
  ];
  const changes = pairs.flatMap((pair) =>
    changesOf(pair.before, pair.after, threshold).map((change) => ({ name: pair.name, ...change })),
  );
  const lines = tableLines(
    columns,
    changes.map((change) => [change.name, ...cells(change)]),
  );
  process.stdout.write(`${lines.join("\n")}\n`);
  for (const pair of pairs) tellConditions(pair);
  return changes.some(({ verdict }) => verdict === "worse");
}

function cells({ figure, unit, before, after, change, verdict }: Change): string[] {
  const { value, low, high } = change;
  const interval = low === high ? "one sample" : `${percent(low)} … ${percent(high)}`;
  const figures = [before.toPrecision(4), after.toPrecision(4), percent(value)];
  return [figure, unit, ...figures, interval, verdict === "same" ? "" : verdict.toUpperCase()];
}

const percent = (part: number) => `${part < 0 ? "" : "+"}${(100 * part).toFixed(1)} %`;

/** What may explain a change beside the code. */
function tellConditions({ name, before, after }: Pair): void {
  const [was, is] = [before.conditions, after.conditions].map(({ versions }) => versions) as [
    Record<string, string>,
    Record<string, string>,
  ];
  for (const library of Object.keys({ ...was, ...is })) {
    if (was[library] === is[library]) continue;
    process.stdout.write(
      `${name}: ${library} ${was[library] ?? "absent"} before, ${is[library] ?? "absent"} after\n`,
    );
  }
  if (after.conditions.dirty) process.stdout.write(`${name}: after has changes that are not committed\n`);
}
