import type { Baseline } from "../eval/card.ts";
import { title } from "./format.ts";
import type { MetricsRecord } from "./metrics-log.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Series {
  readonly name: string;
  /** In order of x; y may be NaN. */
  readonly points: readonly Point[];
  /** What others are held to: drawn dashed, without a colour of its own. */
  readonly isLimit?: boolean;
}

export interface Chart {
  readonly title: string;
  readonly size: "wide" | "half" | "small";
  /** Values are shares of 1, shown in per cent. */
  readonly percent: boolean;
  readonly xLabel: string;
  readonly series: readonly Series[];
  /** Horizontal lines to compare with. */
  readonly baselines: readonly Baseline[];
}

/** Series of a chart whose baselines are drawn. */
const MOST_COMPARED = 3;

/** Groups whose values are shares of 1. */
const SHARES: Record<string, string> = {
  knn: "k-NN accuracy",
  retrieval: "Retrieval",
  dense: "Dense evaluation",
  linear: "Linear probe accuracy",
  logistic: "Logistic regression accuracy",
  "few-shot": "Few-shot accuracy",
  "low-shot": "Low-shot accuracy",
  cluster: "Clusters against classes",
  classification: "Classification accuracy",
};

/** Schedules: several plugins may have one of the same name, drawn in one chart. */
const SCHEDULES: Record<string, string> = {
  lr: "Learning rate",
  weightDecay: "Weight decay",
  momentum: "Teacher momentum",
  teacherTemp: "Teacher temperature",
  open: "Trained, 1, or held back, 0",
};

/**
 * One chart per group of names in the log: the loss and its terms, then evaluations, then all else. What is held to a
 * limit is in `healthCharts`; the loss is in both.
 *
 * @param baselines by name in the log ("knn/top1").
 */
export function chartsFromMetrics(
  records: readonly MetricsRecord[],
  baselines: Readonly<Record<string, readonly Baseline[]>> = {},
): Chart[] {
  const groups = new Map<string, { series: Series[]; compared: Baseline[] }>();
  const all = pointsByName(records);
  for (const [name, points] of all) {
    const key = groupOf(name);
    if (key === HEALTH || (key !== "loss" && limitsOf(name, all).length > 0)) continue;
    const group = groups.get(key) ?? { series: [], compared: [] };
    group.series.push({ name: seriesName(name, key), points });
    group.compared.push(...(baselines[name] ?? []));
    groups.set(key, group);
  }
  return Array.from(groups, ([key, { series, compared }]): Chart => {
    const percent = key in SHARES;
    return {
      title: SHARES[key] ?? SCHEDULES[key] ?? title(key),
      size: key === "loss" ? "wide" : percent ? "half" : "small",
      percent,
      xLabel: "epoch",
      series,
      // More lines than that would hide the curves; the tables have them all.
      baselines: series.length > MOST_COMPARED ? [] : compared,
    };
  }).sort((a, b) => ORDER.indexOf(a.size) - ORDER.indexOf(b.size));
}

const ORDER = ["wide", "half", "small"];

/** Limits of signals are logged as "health/above/<signal>" and "health/below/<signal>". */
const HEALTH = "health";
const LIMITS = { above: "upper limit", below: "lower limit" } as const;

/** One small chart per signal that is held to a limit, with it. */
export function healthCharts(records: readonly MetricsRecord[]): Chart[] {
  const all = pointsByName(records);
  return [...all].flatMap(([name, points]): Chart[] => {
    const limits = limitsOf(name, all);
    if (limits.length === 0) return [];
    const short = name.replace(METRIC, "");
    const series = [{ name: "signal", points }, ...limits];
    return [
      { title: signalTitle(short), size: "small", percent: false, xLabel: "epoch", series, baselines: [] },
    ];
  });
}

function limitsOf(signal: string, all: ReadonlyMap<string, Point[]>): Series[] {
  const sides = Object.entries(LIMITS);
  return sides.flatMap(([side, name]) => {
    const points = all.get(`${HEALTH}/${side}/${signal.replace(METRIC, "")}`);
    return points ? [{ name, points, isLimit: true }] : [];
  });
}

/** Signals that are not written as they are called. */
const SIGNALS: Record<string, string> = {
  klDivergence: "KL(teacher ‖ student)",
  rankMe: "RankMe",
  gradNorm: "Gradient norm",
};

/** "pixel-relation.rowEntropy" -> "pixel-relation: row entropy" */
function signalTitle(signal: string): string {
  const dot = signal.indexOf(".");
  const name = signal.slice(dot + 1);
  if (dot < 0) return SIGNALS[name] ?? title(name);
  return `${signal.slice(0, dot)}: ${SIGNALS[name] ?? title(name).toLowerCase()}`;
}

const COORDINATES = new Set(["step", "epoch", "time"]);

function pointsByName(records: readonly MetricsRecord[]): Map<string, Point[]> {
  const names = new Map<string, Point[]>();
  for (const record of records) {
    for (const [name, y] of Object.entries(record)) {
      if (COORDINATES.has(name)) continue;
      const points = names.get(name) ?? [];
      points.push({ x: record.epoch, y });
      names.set(name, points);
    }
  }
  return names;
}

const METRIC = "metric/";

/**
 * "loss/dino" -> "loss", "lr" -> "lr"; and what several plugins may have of one name, "dino/teacherTemp" ->
 * "teacherTemp", "metric/pixel-relation.rowEntropy" -> "rowEntropy".
 */
function groupOf(name: string): string {
  const last = name.slice(name.search(/[^/.]*$/));
  if (last in SCHEDULES || name.startsWith(METRIC)) return last;
  return name.includes("/") ? name.slice(0, name.indexOf("/")) : name;
}

function seriesName(name: string, group: string): string {
  if (name === group) return group === "loss" ? "total" : name;
  const rest = name.startsWith(`${group}/`)
    ? name.slice(group.length + 1)
    : name.slice(0, name.search(/[/.][^/.]*$/)).replace(METRIC, "");
  return rest.replace(/^top(\d)$/, "top-$1");
}
