/**
 * npm run bench:step -- --method sere|ibot|dino --arch vit-small --batch 4 --locals 4 --precision fp32|bf16
 *                       [--config run.yaml] [--sittings 3] [--out result.json]
 *
 * Times captured training steps on noise and prints one JSON result (result.ts): seconds of every step after warm-up
 * and of the matrix products between them, FLOPs of the mathematics (flops.ts) and their share of the products'
 * speed, peak memory, and what the first step takes.
 */
import { basename } from "node:path";
import { GraphEngine } from "../core/engine/graph-engine.ts";
import { timeByHook, timeByOp, type TimeShare } from "../core/engine/timings.ts";
import { choiceOf, command, parseFlags, progress, UsageError, wholeOf } from "./command.ts";
import { methodFlops } from "./method-flops.ts";
import { defaultSizes, methodConfig, openMethod, pluginNames, stepSubject, type Method } from "./method.ts";
import { emit, makeResult, ownCommand } from "./make-result.ts";
import type { BenchResult, Formula } from "./result.ts";
import { sizeFlags, sizesOf } from "./size-flags.ts";
import { mergeSittings, runBench } from "./sittings.ts";
import { timed, timeSteps, type StepTimes } from "./timing.ts";

/** The first step is one sample of each sitting, much of it on one thread: sittings of the same code are as far apart. */
const FIRST_STEP_TOLERANCE = 0.3;

await command(async () => {
  const { values: flags } = parseFlags({
    options: {
      ...sizeFlags,
      device: { type: "string", default: defaultSizes.device },
      augment: { type: "boolean", default: defaultSizes.augment },
      /** Times this config's method, whatever the flags above say. */
      config: { type: "string" },
      steps: { type: "string", default: "15" },
      warmup: { type: "string", default: "5" },
      /** Measures as often, each time in a process of its own. */
      sittings: { type: "string", default: "1" },
      /** Where the time goes: by op, or by plugin and hook (scope). */
      profile: { type: "string" },
      out: { type: "string" },
    },
  });
  const profile = flags.profile && choiceOf("profile", flags.profile, ["op", "scope"]);
  const sittings = wholeOf("sittings", flags.sittings, 1);
  if (sittings > 1) {
    if (profile) throw new UsageError("--profile is of one sitting: leave out --sittings");
    return emit(await repeated(sittings), flags.out);
  }
  const timing = {
    steps: wholeOf("steps", flags.steps, 1),
    warmup: wholeOf("warmup", flags.warmup, 1),
    progress,
  };
  const sizes = { ...sizesOf(flags), device: flags.device, augment: flags.augment };
  progress("assembling");
  const [open, method] = await timed(() => openMethod(flags.config ?? methodConfig(sizes)));
  const times = await timeSteps(method, timing);
  const code = emit(stepResult(method, times, open, flags), flags.out);
  const { engine } = method.assembly;
  if (profile && engine instanceof GraphEngine) {
    const { timings } = engine.profile(times.program, method.feeds());
    const names = pluginNames(method);
    process.stderr.write(table(profile === "op" ? timeByOp(timings) : timeByHook(timings, names)));
  }
  return code;
});

/** The same measurement as one result of several sittings. */
async function repeated(sittings: number): Promise<BenchResult> {
  const command = ownCommand();
  const results: BenchResult[] = [];
  for (let i = 0; i < sittings; i++) {
    progress(`sitting ${i + 1} of ${sittings}`);
    results.push(await runBench([...command, "--sittings", "1"]));
  }
  return { ...mergeSittings(results), command };
}

function stepResult(
  method: Method,
  times: StepTimes,
  open: number,
  flags: { config?: string; augment: boolean },
): BenchResult {
  const { run, engine } = method.assembly;
  const flops = methodFlops(method.assembly, method.plugins, method.maskedPatches);
  const judged: Record<string, Formula> = {
    ...(flops === undefined
      ? { stepInPeaks: { unit: "peak runs", better: "lower", of: "stepSeconds", over: "peakSeconds" } }
      : {
          shareOfPeak: {
            unit: "share",
            better: "higher",
            of: "peakSeconds",
            over: "stepSeconds",
            scale: flops / times.peakFlops,
          },
        }),
    peakMemoryBytes: { unit: "bytes", better: "lower", of: "peakMemoryBytes" },
    firstStepInPeaks: {
      unit: "peak runs",
      better: "lower",
      tolerance: FIRST_STEP_TOLERANCE,
      of: "firstStepSeconds",
      over: "peakSeconds",
    },
  };
  return makeResult({
    library: engine.description.library,
    subject: {
      ...(flags.config === undefined ? {} : { config: basename(flags.config) }),
      ...stepSubject(method),
      augment: flags.augment ? "on" : "off",
      ...(flops === undefined ? {} : { flops }),
    },
    samples: {
      stepSeconds: [times.steps],
      peakSeconds: [times.peaks],
      openSeconds: [[open]],
      traceSeconds: [[times.trace]],
      firstRunSeconds: [[times.firstRun]],
      firstStepSeconds: [[times.trace + times.firstRun]],
      peakMemoryBytes: [[process.resourceUsage().maxRSS * 1024]],
    },
    formulas: {
      ...judged,
      stepSeconds: { unit: "s", of: "stepSeconds" },
      imagesPerSecond: { unit: "1/s", over: "stepSeconds", scale: run.batchSize },
      peakFlopsPerSecond: { unit: "1/s", over: "peakSeconds", scale: times.peakFlops },
      openSeconds: { unit: "s", of: "openSeconds" },
      traceSeconds: { unit: "s", of: "traceSeconds" },
      firstRunSeconds: { unit: "s", of: "firstRunSeconds" },
    },
  });
}

function table(shares: readonly TimeShare[]): string {
  const total = shares.reduce((sum, { microseconds }) => sum + microseconds, 0);
  return shares
    .slice(0, 25)
    .map(({ name, microseconds, nodes }) => {
      const share = ((100 * microseconds) / total).toFixed(1).padStart(5);
      return `${name.padEnd(36)} ${(microseconds / 1000).toFixed(1).padStart(9)} ms ${share} % ${nodes} nodes\n`;
    })
    .join("");
}
