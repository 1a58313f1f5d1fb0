/** Times a method's step in turn with the machine's matrix products. */
import type { Program } from "../core/engine/engine.ts";
import type { Method } from "./method.ts";
import { MatmulPeak } from "./peak.ts";

export interface TimingOptions {
  /** Steps that count. */
  readonly steps: number;
  /** Steps before them, the first one included. */
  readonly warmup: number;
  readonly progress?: (message: string) => void;
}

/** All times in seconds. */
export interface StepTimes {
  readonly program: Program;
  /** Tracing the step into the graph, and again to verify it. */
  readonly trace: number;
  /** The first run, in which TensorFlow optimises the graph. */
  readonly firstRun: number;
  readonly steps: readonly number[];
  /** peaks[i] right before steps[i]: one run of `peakFlops` operations. */
  readonly peaks: readonly number[];
  readonly peakFlops: number;
}

/** Gives the method's variables their start, captures the step and runs it. */
export async function timeSteps(method: Method, options: TimingOptions): Promise<StepTimes> {
  const { steps, warmup, progress = () => undefined } = options;
  const { training, engine } = method.assembly;
  await training.initialize();
  progress("tracing the step");
  const [trace, program] = await timed(() =>
    training.program("train", method.progress.epoch, method.feeds()),
  );
  const step = async () => (await timed(() => program.run(method.feeds())))[0];
  progress("the first step");
  const firstRun = await step();
  const peak = await MatmulPeak.create(engine);
  const times = { steps: [] as number[], peaks: [] as number[] };
  for (let i = 1; i < warmup + steps; i++) {
    progress(i < warmup ? `warm-up ${i + 1} of ${warmup}` : `step ${i - warmup + 1} of ${steps}`);
    const pair = [await peak.run(), await step()] as const;
    if (i < warmup) continue;
    times.peaks.push(pair[0]);
    times.steps.push(pair[1]);
  }
  return { program, trace, firstRun, ...times, peakFlops: peak.flops };
}

/** Seconds, and what was waited for. */
export async function timed<T>(work: () => Promise<T>): Promise<[seconds: number, result: T]> {
  const start = performance.now();
  const result = await work();
  return [(performance.now() - start) / 1000, result];
}
