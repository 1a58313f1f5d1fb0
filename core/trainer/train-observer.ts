/** Who watches a run, and what they are told. */
import type { Progress, StepResult } from "../contexts.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import type { RelationSample, ViewSample } from "../report/report-data.ts";
import type { WeightsOrigin } from "./initial-weights.ts";

/** What is known when the first step is about to run. */
export interface TrainingStart {
  readonly folder: string;
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly fromStep: number;
  readonly epochs: number;
  readonly device: string;
  readonly precision: string;
  readonly engine: string;
  /** Version of libtensorflow or of the tfjs backend. */
  readonly library: string;
  /** Trained weights. */
  readonly parameters: number;
  readonly plugins: readonly string[];
  readonly images: number;
  /** What the run begins with; absent where that is random, and where a run goes on. */
  readonly init?: WeightsOrigin;
}

export interface StepReport extends StepResult {
  readonly totalSteps: number;
  readonly etaSeconds: number;
  /** Resident memory of the process. */
  readonly memoryBytes: number;
  /** Part of the time since the last report that the step waited for images, 0..1. */
  readonly waitShare: number;
  /** Part of it that went neither to waiting nor to the step: schedules, hooks, observers, checkpoints, evaluations. */
  readonly hostShare: number;
}

/** Who watches a run: the CLI's progress, the run folder's recorder. */
export interface TrainObserver {
  start?(info: TrainingStart): void;
  status?(message: string): void;
  step?(report: StepReport): void;
  /** `progress` says after which step. */
  evaluation?(evaluation: Evaluation, progress: Progress): void;
  /** A few samples and their views, for the report. */
  views?(samples: readonly ViewSample[]): void;
  /** How points of a few samples relate to the rest of their views, at an evaluation. */
  relations?(samples: readonly RelationSample[]): void;
  checkpoint?(path: string, step: number): void;
  warning?(message: string): void;
}
