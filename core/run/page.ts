/** What the report of a run says, from what was recorded. */
import type { Baseline } from "../eval/card.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import { duration } from "../report/format.ts";
import type { MetricsRecord } from "../report/metrics-log.ts";
import type { Fact, RelationSample, ReportData, ViewSample } from "../report/report-data.ts";
import type { RunFile } from "./folder.ts";
import { foundPictures } from "./found-pictures.ts";
import { segmentedPictures } from "./segmented-pictures.ts";

export interface PageParts {
  readonly title: string;
  readonly config: unknown;
  readonly run: RunFile;
  readonly metrics: readonly MetricsRecord[];
  readonly evaluation: Evaluation | undefined;
  readonly views: readonly ViewSample[];
  readonly relations: readonly RelationSample[];
  readonly warnings: readonly string[];
}

export function reportData({
  title,
  config,
  run,
  metrics,
  evaluation,
  views,
  relations,
  warnings,
}: PageParts): ReportData {
  const results = evaluation?.results ?? [];
  const network = results[0]?.card.network ?? "teacher";
  return {
    title,
    summary: `${run.plugins.join(" + ")} on ${run.images.toLocaleString("en-US")} images, ${millions(run.parameters)} trained weights.`,
    status: run.status,
    facts: facts(run, metrics),
    warnings: run.error === undefined ? warnings : [run.error, ...warnings],
    results,
    metrics,
    curveBaselines: evaluation ? curveBaselines(evaluation) : {},
    views,
    relations,
    retrievals: evaluation ? foundPictures(evaluation.found, network, run.seed) : [],
    segmentations: evaluation?.segmentation && segmentedPictures(evaluation.segmentation, network, run.seed),
    config,
    environment: environment(run),
  };
}

function facts(run: RunFile, metrics: readonly MetricsRecord[]): Fact[] {
  const steps = metrics.filter((record) => record["loss"] !== undefined);
  const last = steps.at(-1);
  if (!last) return [];
  const speeds = steps.map((record) => record["imagesPerSecond"]!).sort((a, b) => a - b);
  return [
    { name: "Steps", value: last.step + 1 },
    { name: "Epochs", value: (last.step + 1) / run.stepsPerEpoch },
    { name: "Time", value: duration(trainingSeconds(steps)) },
    { name: "Images per second", value: speeds[speeds.length >> 1]! },
    { name: "Loss", value: last["loss"]! },
  ];
}

/** Time between steps, without the pauses between an interruption and its resumption, or where the clock was set. */
function trainingSeconds(steps: readonly MetricsRecord[]): number {
  const gaps = steps.slice(1).map((record, i) => record.time - steps[i]!.time);
  const usual = gaps.toSorted((a, b) => a - b)[gaps.length >> 1] ?? 0;
  const most = Math.max(60, 20 * usual);
  return gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(gap, most)), 0);
}

/** By name in the log. An evaluation lists its scalars in the order of its figures. */
function curveBaselines({ results, scalars }: Evaluation): Record<string, readonly Baseline[]> {
  const figures = results.flatMap((result) => result.figures);
  return Object.fromEntries(Object.keys(scalars).map((name, i) => [name, figures[i]?.baselines ?? []]));
}

function environment(run: RunFile): Fact[] {
  const { commit, dirty } = run;
  return [
    { name: "Command", value: run.command },
    { name: "Seed", value: String(run.seed) },
    { name: "Device", value: run.device },
    { name: "Precision", value: run.precision },
    { name: "Engine", value: run.engine },
    ...Object.entries(run.versions).map(([name, value]) => ({ name, value })),
    ...(commit === undefined ? [] : [{ name: "Commit", value: dirty ? `${commit}, with changes` : commit }]),
    { name: "Started", value: run.startedAt },
    ...(run.resumedAt ?? []).map((value) => ({ name: "Resumed", value })),
    ...(run.finishedAt === undefined ? [] : [{ name: "Ended", value: run.finishedAt }]),
  ];
}

function millions(count: number): string {
  return count >= 1e5 ? `${(count / 1e6).toFixed(1)} million` : count.toLocaleString("en-US");
}
