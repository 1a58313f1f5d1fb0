/**
 * npm run bench:compare -- --method sere|ibot|dino --precision fp32|bf16 [--arch vit-small] [--steps 15]
 *                          [--style tuned|plain] [--python python3] [--compile] [--out result.json]
 *
 * Times relata's step and the same step in PyTorch (baselines/pytorch) in turn, from the same weights on the same
 * batch, and prints one JSON result (result.ts); a table goes to standard error. Before anything counts, the losses and
 * gradient norms of every warm-up step must agree; the exit code is 1 where they do not.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Differences } from "./baselines/agreement.ts";
import { exportRun } from "./baselines/export-run.ts";
import { requirePython } from "./baselines/python.ts";
import { PyTorchSide, styles, type PyTorchOptions, type Style } from "./baselines/pytorch-side.ts";
import { RelataSide } from "./baselines/relata-side.ts";
import { phases, type Phase, type Side } from "./baselines/side.ts";
import { choiceOf, command, parseFlags, progress, wholeOf } from "./command.ts";
import { emit, makeResult } from "./make-result.ts";
import { methodConfig, openMethod, stepSubject, type Method } from "./method.ts";
import type { BenchResult, Figure, Formula } from "./result.ts";
import { sizeFlags, sizesOf } from "./size-flags.ts";
import { ratioOfMedians } from "./statistics.ts";

/** PyTorch's allocator and kernels take some steps to settle, more so when compiled. */
const LEAST_WARMUP = 8;
/** Runs of a part of the step before it is timed: everything but its own graph is warm. */
const PART_WARMUP = 3;

await command(async () => {
  const { values: flags } = parseFlags({
    options: {
      ...sizeFlags,
      /** Runs of each phase that count. */
      steps: { type: "string", default: "15" },
      warmup: { type: "string", default: String(LEAST_WARMUP) },
      /** Has torch and numpy; without it $RELATA_PYTHON, else one that is made. */
      python: { type: "string" },
      /** Of the PyTorch step: written for speed, or as published training code is. */
      style: { type: "string", default: "tuned" },
      /** torch.compile for PyTorch's forward and backward passes. */
      compile: { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const sizes = { ...sizesOf(flags), device: "cpu" };
  const steps = wholeOf("steps", flags.steps, 1);
  const warmup = wholeOf("warmup", flags.warmup, LEAST_WARMUP);
  const differences = new Differences(flags.precision);
  const style = choiceOf("style", flags.style, styles);
  const python = requirePython(flags.python);
  progress("assembling");
  const method = await openMethod(methodConfig(sizes));
  const pytorch = await startPyTorch(method, { python, style, compile: flags.compile });
  try {
    progress("tracing the step");
    const relata = await RelataSide.start(method);
    await agree(relata, pytorch, warmup, differences);
    const problems = differences.problems();
    if (problems.length > 0) {
      process.stderr.write(`relata and PyTorch do not compute the same step:\n${problems.join("\n")}\n`);
      return 1;
    }
    const times = await timePhases(relata, pytorch, steps);
    return emit(compareResult(method, pytorch, style, times, differences), flags.out);
  } finally {
    pytorch.close();
  }
});

async function startPyTorch(method: Method, options: Omit<PyTorchOptions, "run">): Promise<PyTorchSide> {
  const folder = await mkdtemp(join(tmpdir(), "relata-compare-"));
  try {
    const run = join(folder, "run.safetensors");
    await exportRun(run, method, availableParallelism());
    progress("starting PyTorch");
    return await PyTorchSide.start({ ...options, run });
  } finally {
    // PyTorch has read it when it answers.
    await rm(folder, { recursive: true });
  }
}

/** Warm-up: both sides make the same steps. */
async function agree(relata: Side, pytorch: Side, steps: number, differences: Differences): Promise<void> {
  for (let i = 1; i <= steps; i++) {
    progress(`warm-up ${i} of ${steps}`);
    const ours = await relata.run("step");
    const theirs = await pytorch.run("step");
    differences.add(ours.scalars, theirs.scalars);
  }
}

interface Times {
  /** Seconds by phase, ours[i] right before theirs[i]. */
  readonly ours: Readonly<Record<Phase, number[]>>;
  readonly theirs: Readonly<Record<Phase, number[]>>;
  /** After the whole steps: parts of them have graphs of their own beside the step's. */
  readonly peakMemory: { readonly ours: number; readonly theirs: number };
}

async function timePhases(relata: Side, pytorch: Side, steps: number): Promise<Times> {
  const none = () => ({ step: [], gradients: [], forward: [] });
  const [ours, theirs]: Times["ours"][] = [none(), none()];
  const measure = async (phase: Phase, warmup: number) => {
    for (let i = 1 - warmup; i <= steps; i++) {
      progress(i < 1 ? `${phase}: warm-up` : `${phase}: ${i} of ${steps}`);
      const pair = [await relata.run(phase), await pytorch.run(phase)] as const;
      if (i < 1) continue;
      ours![phase].push(pair[0].seconds);
      theirs![phase].push(pair[1].seconds);
    }
  };
  await measure("step", 0);
  const peakMemory = { ours: await relata.peakMemoryBytes(), theirs: await pytorch.peakMemoryBytes() };
  await measure("gradients", PART_WARMUP);
  await measure("forward", PART_WARMUP);
  return { ours: ours!, theirs: theirs!, peakMemory };
}

function compareResult(
  method: Method,
  pytorch: PyTorchSide,
  style: Style,
  { ours, theirs, peakMemory }: Times,
  { largest }: Differences,
): BenchResult {
  const { engine } = method.assembly;
  const names = phases.map((phase) => [phase, `relata ${phase}Seconds`, `pytorch ${phase}Seconds`] as const);
  const seconds = names.flatMap(([, our, their]) =>
    [our, their].map((of) => [of, { unit: "s", of }] as const),
  );
  const ratios = names.map(([phase, over, of]): [string, Figure] => [
    `${phase} ratio`,
    { unit: "PyTorch/relata", better: "higher", of, over, ...ratioOfMedians(theirs[phase], ours[phase]) },
  ]);
  const memory: Record<string, Formula> = {
    "relata peakMemoryBytes": { unit: "bytes", better: "lower", of: "relata peakMemoryBytes" },
    "pytorch peakMemoryBytes": { unit: "bytes", of: "pytorch peakMemoryBytes" },
    "memory ratio": {
      unit: "relata/PyTorch",
      better: "lower",
      of: "relata peakMemoryBytes",
      over: "pytorch peakMemoryBytes",
    },
  };
  const apart = Object.entries(largest).map(([name, value]): [string, Figure] => [
    `${name} difference`,
    { unit: "relative", value },
  ]);
  const result = makeResult({
    library: engine.description.library,
    subject: {
      ...stepSubject(method),
      against: pytorch.name,
      style,
      threads: pytorch.threads,
    },
    samples: {
      ...Object.fromEntries(
        names.flatMap(([phase, our, their]) => [
          [our, [ours[phase]]],
          [their, [theirs[phase]]],
        ]),
      ),
      "relata peakMemoryBytes": [[peakMemory.ours]],
      "pytorch peakMemoryBytes": [[peakMemory.theirs]],
      "pytorch startMemoryBytes": [[pytorch.startBytes]],
    },
    formulas: { ...Object.fromEntries(seconds), ...memory },
    fitted: Object.fromEntries([...ratios, ...apart]),
  });
  const { conditions } = result;
  return {
    ...result,
    conditions: { ...conditions, versions: { ...conditions.versions, torch: pytorch.version } },
  };
}
