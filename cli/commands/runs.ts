import { Command } from "commander";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import type { RunComparison, RunSummary } from "../../core/report/runs.ts";
import { RunFolder, RUNS_FOLDER } from "../../core/run/folder.ts";
import type { CliContext } from "../context.ts";
import { tableLines, type Column } from "../table.ts";
import { theme } from "../theme.ts";

export function runsCommand(context: CliContext): Command {
  return new Command("runs")
    .description("list the runs of a folder, or compare two and more")
    .argument("[folders...]", "a folder of runs (default: runs), or the folders of runs to compare")
    .action(async (folders: string[]) => {
      const { compareRuns, listRuns, readRun, RUN_FILES } = await import("../../core/report/runs.ts");
      const { terminal } = context;
      if (folders.length > 1) {
        const runs = folders.map((folder) => RunFolder.open(folder).path);
        for (const line of comparisonLines(compareRuns(runs))) terminal.line(line);
        return;
      }
      const folder = folders[0] ?? RUNS_FOLDER;
      const runs = existsSync(join(folder, RUN_FILES.config)) ? [readRun(folder)] : listRuns(folder);
      if (runs.length === 0 && folders.length > 0) throw errors.runMissing(folder, []);
      if (runs.length === 0) return terminal.line(`no run in ${folder} yet`);
      for (const line of runLines(runs)) terminal.line(line);
    });
}

const COLUMNS: readonly Column[] = [
  { title: "run" },
  { title: "status" },
  { title: "epochs", align: "right" },
  { title: "loss", align: "right" },
  { title: "k-NN", align: "right" },
  { title: "best", align: "right" },
  { title: "classified", align: "right" },
  { title: "images/s", align: "right" },
  { title: "seed", align: "right" },
  { title: "device" },
  { title: "plugins" },
];

export function runLines(runs: readonly RunSummary[]): string[] {
  const rows = runs.map((run) => [
    run.name,
    statusOf(run),
    run.epochs === undefined ? String(run.epochsDone) : `${run.epochsDone}/${run.epochs}`,
    run.loss?.toFixed(3) ?? "",
    percent(run.lastKnn),
    percent(run.bestKnn),
    percent(run.classification),
    run.imagesPerSecond?.toFixed(1) ?? "",
    run.seed === undefined ? "" : String(run.seed),
    run.device ?? "",
    run.plugins.join(" "),
  ]);
  const [titles, ...lines] = tableLines(COLUMNS, rows);
  const problems = runs.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`));
  return [theme.heading(titles!), ...lines, ...problems.map((problem) => theme.warning(problem))];
}

/** A run whose process was killed still says that it is running. */
function statusOf({ folder, status, epochs }: RunSummary): string {
  const hasConfig = epochs !== undefined;
  return status === "running" && hasConfig && RunFolder.open(folder).writer === "dead" ? "died" : status;
}

export function comparisonLines({ runs, differences }: RunComparison): string[] {
  const names = runs.map(({ name }) => name);
  const show = (value: unknown) => (value === undefined ? "–" : JSON.stringify(value));
  const rows = differences.map(({ path, values }) => [path, ...values.map(show)]);
  const [titles, ...lines] = tableLines(
    [{ title: "differs in" }, ...names.map((title) => ({ title }))],
    rows,
  );
  return [
    ...runLines(runs),
    "",
    ...(rows.length === 0 ? ["the configs are the same"] : [theme.heading(titles!), ...lines]),
  ];
}

function percent(share: number | undefined): string {
  return share === undefined ? "" : `${(100 * share).toFixed(1)} %`;
}
