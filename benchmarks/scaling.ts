/**
 * npm run bench:scaling -- [--method sere] [--precision fp32] [--batch 1,2,4,8] [--locals 0,2,4,8] [--depth 3,6,12]
 *                          [--steps 7] [--warmup 3] [--sittings 1] [--out result.json]
 *
 * Times the step while one size grows and the others stay at batch 4, 4 local crops and depth 12, each point in a
 * process of its own. Fits seconds / seconds of the matrix products of the same sitting = c x^a, with x the
 * size (of local crops: all views, 2 + crops), and with x the FLOPs of the step's mathematics; the exit code is 1 where
 * an exponent is above 1.05, with all of its interval.
 */
import { tableLines } from "../cli/table.ts";
import { choiceOf, command, parseFlags, progress, UsageError, wholeOf } from "./command.ts";
import { emit, makeResult } from "./make-result.ts";
import { defaultSizes, methods } from "./method.ts";
import {
  resampledValue,
  valueOf,
  type BenchResult,
  type Figure,
  type Formula,
  type Samples,
} from "./result.ts";
import { runBench } from "./sittings.ts";
import { bootstrap, exponentOf } from "./statistics.ts";

/** Time in proportion to the work, and what noise may add. */
const LIMIT = 1.05;

/** The step's time, with the machine's speed taken out. */
const inPeaks: Formula = { unit: "peak runs", better: "lower", of: "stepSeconds", over: "peakSeconds" };

/** Views beside the local crops: no local crop is no logarithm, and not no work. */
const GLOBALS = 2;

const base = { batch: 4, locals: 4, depth: 12 };
type Axis = keyof typeof base;
const axes = Object.keys(base) as Axis[];

interface Point {
  readonly size: number;
  readonly result: BenchResult;
}

await command(async () => {
  const { values: flags } = parseFlags({
    options: {
      method: { type: "string", default: defaultSizes.method },
      arch: { type: "string", default: defaultSizes.arch },
      precision: { type: "string", default: defaultSizes.precision },
      device: { type: "string", default: defaultSizes.device },
      batch: { type: "string", default: "1,2,4,8" },
      locals: { type: "string", default: "0,2,4,8" },
      depth: { type: "string", default: "3,6,12" },
      steps: { type: "string", default: "7" },
      warmup: { type: "string", default: "3" },
      sittings: { type: "string", default: "1" },
      out: { type: "string" },
    },
  });
  choiceOf("method", flags.method, methods);
  const sizes = axes.map((axis) => [axis, sizesOf(axis, flags[axis])] as const);
  const fixed = (["method", "arch", "precision", "device", "steps", "warmup", "sittings"] as const).flatMap(
    (name) => [`--${name}`, flags[name]],
  );
  const measured = new Map<string, BenchResult>();
  const points: Record<string, Point[]> = {};
  for (const [axis, list] of sizes) {
    points[axis] = [];
    for (const size of list) {
      const at = { ...base, [axis]: size };
      const own = axes.flatMap((name) => [`--${name}`, String(at[name])]);
      const key = own.join(" ");
      if (!measured.has(key)) {
        progress(`bench:step ${key}`);
        measured.set(key, await runBench(["step", ...fixed, ...own]));
      }
      points[axis].push({ size, result: measured.get(key)! });
    }
  }
  for (const axis of axes) process.stderr.write(`\n${tableOf(axis, points[axis]!).join("\n")}\n`);
  process.stderr.write("\n");
  return emit(scalingResult(points), flags.out);
});

/** Increasing sizes, at least two. */
function sizesOf(axis: Axis, list: string): number[] {
  const sizes = list.split(",").map((size) => wholeOf(axis, size, axis === "locals" ? 0 : 1));
  if (sizes.length < 2 || sizes.some((size, i) => i > 0 && size <= sizes[i - 1]!))
    throw new UsageError(`--${axis} ${list}: give two or more sizes, the smallest first`);
  return sizes;
}

function scalingResult(points: Readonly<Record<string, readonly Point[]>>): BenchResult {
  const { subject, conditions } = points["batch"]![0]!.result;
  const all = Object.entries(points).flatMap(([axis, list]) =>
    list.map((point) => ({ name: `${axis}=${point.size}`, ...point })),
  );
  const kept = ["stepSeconds", "peakSeconds", "peakMemoryBytes"] as const;
  const samples = all.flatMap(({ name, result }) =>
    kept.map((kind) => [`${name} ${kind}`, result.samples[kind]!] as const),
  );
  const formulas = all.map(({ name }): [string, Formula] => [
    `${name} stepInPeaks`,
    { ...inPeaks, of: `${name} stepSeconds`, over: `${name} peakSeconds` },
  ]);
  const fitted = axes.flatMap((axis) => [
    [
      `${axis} exponent`,
      fit(points[axis]!, ({ size }) => (axis === "locals" ? GLOBALS + size : size)),
    ] as const,
    [`${axis} exponent by FLOPs`, fit(points[axis]!, flopsOf)] as const,
  ]);
  return makeResult({
    subject: {
      ...Object.fromEntries(["plugins", "precision", "device", "jit"].map((name) => [name, subject[name]!])),
      arch: String(subject["arch"]).split(" ")[0]!,
      ...Object.fromEntries(
        Object.entries(points).map(([axis, list]) => [axis, list.map(({ size }) => size).join(",")]),
      ),
    },
    samples: Object.fromEntries(samples),
    formulas: Object.fromEntries(formulas),
    fitted: Object.fromEntries(fitted),
    library: conditions.versions["libtensorflow"],
  });
}

function fit(points: readonly Point[], sizeOf: (point: Point) => number): Figure {
  const sizes = points.map(sizeOf);
  const exponent = (valueAt: (samples: Samples) => number) =>
    exponentOf(
      sizes,
      points.map(({ result }) => valueAt(result.samples)),
    );
  const estimate = bootstrap(
    exponent((samples) => valueOf(inPeaks, samples)),
    (draw) => exponent((samples) => resampledValue(inPeaks, samples, draw)),
  );
  return { unit: "exponent", limit: LIMIT, ...estimate };
}

function flopsOf({ result }: Point): number {
  return Number(result.subject["flops"]);
}

function tableOf(axis: string, points: readonly Point[]): string[] {
  const titles = [axis, "GFLOP", "seconds", "peak runs", "share of peak", "peak memory"];
  return tableLines(
    titles.map((title) => ({ title, align: "right" })),
    points.map((point) => {
      const { figures, samples } = point.result;
      return [
        String(point.size),
        (flopsOf(point) / 1e9).toFixed(0),
        figures["stepSeconds"]!.value.toFixed(2),
        valueOf(inPeaks, samples).toFixed(2),
        `${(100 * figures["shareOfPeak"]!.value).toFixed(1)} %`,
        `${(figures["peakMemoryBytes"]!.value / 1e9).toFixed(2)} GB`,
      ];
    }),
  );
}
