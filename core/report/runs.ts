/** Run folders as rows of a table. What a run has not written yet, or what cannot be read, is left out. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { EvalResult } from "../eval/card.ts";
import { readMetrics, type MetricsRecord } from "./metrics-log.ts";
import type { RunStatus } from "./report-data.ts";

/** The files of a run folder that these functions read. */
export const RUN_FILES = {
  config: "config.resolved.json",
  run: "run.json",
  metrics: "metrics.jsonl",
  evaluation: "eval.json",
} as const;

/** Content of `run.json`: written when a run starts, and again when it ends. */
export interface RunRecord {
  readonly status: RunStatus;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly seed: number;
  /** Optimizer updates per epoch. */
  readonly stepsPerEpoch: number;
  /** "relata", "node", "libtensorflow" … and each plugin. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of the working copy, where there is one. */
  readonly commit?: string;
  readonly device: string;
  /** Names of the plugins, in the order in which they are applied. */
  readonly plugins: readonly string[];
}

/** A run folder at a glance. */
export interface RunSummary {
  readonly name: string;
  readonly folder: string;
  readonly status: RunStatus | "unknown";
  readonly startedAt?: string;
  readonly seed?: number;
  readonly device?: string;
  /** Whole epochs that are done, of those planned. */
  readonly epochsDone: number;
  readonly epochs?: number;
  /** Total loss of the last step; NaN where it was not finite. */
  readonly loss?: number;
  /** k-NN top-1, 0..1. */
  readonly bestKnn?: number;
  readonly lastKnn?: number;
  /** Last top-1 of a run's own classifier, 0..1. */
  readonly classification?: number;
  /** Median over the steps. */
  readonly imagesPerSecond?: number;
  readonly plugins: readonly string[];
  /** Files that are there but cannot be read, with the reason. */
  readonly problems: readonly string[];
}

interface ResolvedConfig {
  readonly train?: { readonly epochs?: number };
  readonly plugins?: readonly { readonly use: string }[];
}

/** All runs in a folder, the oldest first. */
export function listRuns(folder: string): RunSummary[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name))
    .filter((run) => Object.values(RUN_FILES).some((file) => existsSync(join(run, file))))
    .map(readRun)
    .sort((a, b) => (a.startedAt ?? "").localeCompare(b.startedAt ?? "") || a.name.localeCompare(b.name));
}

export function readRun(folder: string): RunSummary {
  const problems: string[] = [];
  const read = <T>(file: string, parse: (path: string) => T): T | undefined => {
    const path = join(folder, file);
    if (!existsSync(path)) return undefined;
    try {
      return parse(path);
    } catch (error) {
      problems.push(`${file}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const config = read(RUN_FILES.config, parseJson<ResolvedConfig>);
  const run = read(RUN_FILES.run, parseJson<Partial<RunRecord>>);
  const metrics = read(RUN_FILES.metrics, readMetrics) ?? [];
  const evaluation = read(RUN_FILES.evaluation, parseJson<EvalResult[]>) ?? [];
  const knn = knnValues(metrics, evaluation);
  return {
    name: basename(folder),
    folder,
    status: run?.status ?? "unknown",
    startedAt: run?.startedAt,
    seed: run?.seed,
    device: run?.device,
    epochsDone: epochsDone(metrics, run?.stepsPerEpoch),
    epochs: config?.train?.epochs,
    loss: metrics.findLast((record) => record.loss !== undefined)?.loss,
    bestKnn: knn.length > 0 ? knn.reduce((a, b) => Math.max(a, b)) : undefined,
    lastKnn: knn.at(-1),
    classification: column(metrics, "classification/top1").at(-1),
    imagesPerSecond: median(column(metrics, "imagesPerSecond")),
    plugins: run?.plugins ?? (config?.plugins ?? []).map(({ use }) => use),
    problems,
  };
}

/** Runs side by side. */
export interface RunComparison {
  readonly runs: readonly RunSummary[];
  /** Config paths whose values differ, with the value of each run; undefined where a run has none. */
  readonly differences: readonly { readonly path: string; readonly values: readonly unknown[] }[];
}

/** What sets runs apart: their figures, and where their configs differ. */
export function compareRuns(folders: readonly string[]): RunComparison {
  const configs = folders.map((folder) => {
    const path = join(folder, RUN_FILES.config);
    const leaves = new Map<string, unknown>();
    // A config that cannot be read is among the run's problems.
    if (existsSync(path)) tryFlatten(path, leaves);
    return leaves;
  });
  const paths = [...new Set(configs.flatMap((leaves) => [...leaves.keys()]))];
  const differences = paths
    .map((path) => ({ path, values: configs.map((leaves) => leaves.get(path)) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
  return { runs: folders.map(readRun), differences };
}

function tryFlatten(path: string, leaves: Map<string, unknown>): void {
  try {
    flatten(parseJson(path), "", leaves);
  } catch {
    leaves.clear();
  }
}

/** Leaves by dotted path. Plugins go by name ("plugins.dino.with.weight"), whatever their order. */
function flatten(value: unknown, path: string, leaves: Map<string, unknown>): void {
  const under = (key: string) => (path === "" ? key : `${path}.${key}`);
  if (path === "plugins" && Array.isArray(value)) {
    for (const { use, ...rest } of value as { use: string }[]) {
      leaves.set(under(use), true);
      flatten(rest, under(use), leaves);
    }
  } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) flatten(inner, under(key), leaves);
  } else {
    leaves.set(path, value);
  }
}

/** k-NN top-1 by time, from the log; from the final evaluation where the log has none. */
function knnValues(metrics: readonly MetricsRecord[], evaluation: readonly EvalResult[]): number[] {
  const logged = column(metrics, "knn/top1");
  if (logged.length > 0) return logged;
  const final = evaluation.find(({ card }) => card.task.includes("k-NN"))?.figures[0];
  return final ? [final.value] : [];
}

function epochsDone(metrics: readonly MetricsRecord[], stepsPerEpoch: number | undefined): number {
  const last = metrics.at(-1);
  if (!last) return 0;
  return stepsPerEpoch ? Math.floor((last.step + 1) / stepsPerEpoch) : Math.floor(last.epoch);
}

/** The finite values of one name, in order. */
function column(metrics: readonly MetricsRecord[], name: string): number[] {
  return metrics.flatMap((record) => (Number.isFinite(record[name]) ? record[name]! : []));
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function parseJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8")) as T;
}
