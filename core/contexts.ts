/**
 * What hooks receive. Everything a method needs is declared in `setup` and gives a handle; inside the step a
 * handle becomes a tensor. The step is a pure function of tensors: hooks may run any number of times.
 */
import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import type { Backbone, TokenGrid } from "./backbone.ts";
import type { ViewGroupSpec } from "./data/view-group.ts";
import type {
  BatchStatistics,
  HeadHandle,
  HeadModule,
  InputHandle,
  InputShape,
  MaskHandle,
  Network,
  NetworkSpec,
  Pass,
  PassSpec,
  PhaseHandle,
  PhaseValue,
  ScheduleHandle,
  VariableHandle,
} from "./handles.ts";
import type { Initializer, Parameters, ParameterSpec } from "./parameters.ts";
import type { Random } from "./random.ts";
import type { Token } from "./token.ts";
import type { OptimizerGroup, OptimizerGroupSpec } from "./trainer/optimizer.ts";

export type * from "./handles.ts";
export type { Initializer, OptimizerGroup, OptimizerGroupSpec, Parameters, ParameterSpec, ViewGroupSpec };

// --- setup -------------------------------------------------------------------------------------------------

/** Where training stands; epochs are fractional inside an epoch. */
export interface Progress {
  readonly step: number;
  readonly epoch: number;
}

/** The run's numbers that schedules and shapes depend on. */
export interface RunInfo {
  readonly seed: number;
  readonly epochs: number;
  /** Optimizer updates per epoch. */
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Samples per micro-batch on this process: the leading B of every view group. */
  readonly batchSize: number;
  /** Samples per update over micro-batches and processes. */
  readonly globalBatchSize: number;
  readonly channels: number;
  readonly numClasses: number | undefined;
}

/** Of a declared weight. */
export interface VariableOptions {
  /** Gets gradients (default true). */
  readonly trainable?: boolean;
  /** Has a twin in every network that follows the student (default: trainable). */
  readonly ema?: boolean;
  /** Decayed by the optimizer (default: the optimizer's rule by name and rank). */
  readonly weightDecay?: boolean;
  /** Default: the run's optimizer with the run's numbers. */
  readonly group?: OptimizerGroup;
}

/** A trained weight, as `setup.lrScale` asks about it. */
export interface ScaledWeight {
  /** Without the network: "backbone.blocks.0.norm1.weight". */
  readonly name: string;
  /**
   * 0 for what comes before the backbone's blocks, i + 1 for block i, depth + 1 for what comes after them: the final norm
   * and every weight that is not the backbone's. Throws LAYERS_UNKNOWN where the backbone does not say.
   */
  readonly layer: number;
}

/** Of declared state. */
export interface BufferOptions {
  /** Each network has its own (default false). */
  readonly perNetwork?: boolean;
}

/**
 * A linear layer that names the class of an image: logits = x weight^T + bias of x, [B, D], the class token after the final
 * norm; the mean patch token where the backbone has no class token.
 */
export interface LinearClassifier {
  /** [C, D] for C classes. */
  readonly weight: VariableHandle;
  /** [C] */
  readonly bias: VariableHandle;
}

/** What the samplers of inputs and masks get, on the host, for each micro-batch. */
export interface SamplerContext {
  readonly step: number;
  readonly epoch: number;
  /** Dataset indices of the micro-batch, [B]. */
  readonly indices: Int32Array;
  /**
   * A stream of draws for this input, update and the given keys. Key by sample (its index) and view: then what a
   * sample draws does not depend on the micro-batch that it is in.
   */
  random(...keys: (string | number)[]): Random;
}

/** Of a declared input. */
export interface InputSpec {
  readonly shape: InputShape;
  /** Default float32. */
  readonly dtype?: "float32" | "int32";
  readonly sample: (context: SamplerContext) => Float32Array | Int32Array;
}

/** Of the masks over a view group's patches. */
export interface MaskInputSpec {
  /** Masked patches of an image, at most. */
  readonly most: number;
  /** Before it nothing is masked (default 0). */
  readonly startEpoch?: number;
  /** [count * B, N], view-major, not 0 where masked. */
  readonly sample: (context: SamplerContext) => ArrayLike<number>;
}

/** What the limits of a signal may depend on, on the host, after an update. */
export interface HealthContext extends Progress {
  /** A schedule's value in this update. */
  value(schedule: ScheduleHandle): number;
  /** The signal in the first updates of training, and in the first ones that are judged; undefined until then. */
  readonly initial: number | undefined;
  readonly settled: number | undefined;
}

/** A limit of a signal. Undefined where nothing is judged. */
export type HealthLimit = number | ((at: HealthContext) => number | undefined);

/**
 * When a run is told to be unwell. A signal is judged by its median over the last updates (`health.window`), from the end
 * of the learning rate's warm-up on.
 */
export interface HealthRule {
  /** A metric of the plugin, as it is named for `losses.metric`. */
  readonly signal: string;
  /** Above it the signal is unhealthy. */
  readonly above?: HealthLimit;
  /** Below it the signal is unhealthy. */
  readonly below?: HealthLimit;
  /** What is wrong, in plain words: "the teacher's targets are nearly uniform". */
  readonly problem: string;
  /** What is likely to help, with the keys of the config. */
  readonly remedy: string | ((at: HealthContext) => string);
}

/** Declares all that a method needs; each declaration gives a handle. */
export interface SetupContext {
  readonly run: RunInfo;
  readonly backbone: Backbone;
  /** The view groups that methods learn from, in order: all but auxiliary ones. */
  readonly views: readonly ViewGroupSpec[];
  /** The group of that name, auxiliary or not. Throws VIEW_GROUP_MISSING. */
  viewGroup(name: string): ViewGroupSpec;
  /** `student`, `teacher` (an EMA of it) or a network that follows another. */
  network(name: "student" | "teacher"): Network;
  network(name: string, spec: NetworkSpec): Network;
  pass(spec: PassSpec): Pass;
  /** A service of the run, as bound last. Throws SERVICE_NOT_BOUND. */
  service<T>(token: Token<T>): T;
  /** Declares weights `<plugin>.<name>`, trained with the student's. */
  variable(
    name: string,
    shape: readonly number[],
    init: Initializer,
    options?: VariableOptions,
  ): VariableHandle;
  /** Declares state `<plugin>.<name>` that only `update` writes. `perNetwork` gives each network its own. */
  buffer(name: string, shape: readonly number[], init: Initializer, options?: BufferOptions): VariableHandle;
  /** A shared module; the name is global, without the plugin's prefix. */
  head<In extends Tensor, Out extends Tensor>(name: string, module: HeadModule<In, Out>): HeadHandle<In, Out>;
  /** The spec of a head that a plugin before this one declared. */
  headSpec(name: string): HeadModule["spec"] | undefined;
  /** Declares the group `<plugin>.<name>`, for `variable`. */
  optimizerGroup(name: string, spec: OptimizerGroupSpec): OptimizerGroup;
  /**
   * Multiplies the learning rate of each trained weight, whoever declared it, by what `scale` says, once setup is over.
   * The scales of several plugins multiply. Throws LR_SCALE where one is no number from 0.
   */
  lrScale(scale: (weight: ScaledWeight) => number): void;
  /**
   * Declares weights of the plugin's to be the run's classifier: evaluations measure how often it is right on images that
   * were not trained on. Throws CLASSIFIER_SHAPE, and DECLARED_TWICE for a second one.
   */
  classifier(classifier: LinearClassifier): void;
  schedule(name: string, at: (progress: Progress) => number): ScheduleHandle;
  input(name: string, spec: InputSpec): InputHandle;
  /** Draws masks over the patches of a view group. `relata preview` and the report show them. */
  mask(group: string, spec: MaskInputSpec): MaskHandle;
  /** Epochs are fractional inside an epoch. Each value that occurs is a program: give few. */
  phase<T extends PhaseValue>(name: string, at: (epoch: number) => T): PhaseHandle<T>;
  /** Updates of these variables happen only while the schedule is not 0; otherwise value, moments and count stay. */
  gate(variables: readonly (VariableHandle | HeadHandle)[], open: ScheduleHandle): void;
  /** Warns while a metric of this plugin is beyond a limit. */
  health(rule: HealthRule): void;
}

// --- inside the step ---------------------------------------------------------------------------------------

/** A step's masks. */
export interface MaskedPatches {
  /** [count * B, N] 1 where masked, else 0. */
  readonly cells: Tensor2D;
  /** [count * B, N0] the same over the patches that `embed` sees: more of them where the backbone merges patches. */
  readonly stemCells: Tensor2D;
  /** [M] int32, the masked rows of [count * B * N, ...]; unused entries repeat row 0. */
  readonly rows: Tensor1D;
  /** [M] 1 for a masked row, 0 for an unused entry. */
  readonly used: Tensor1D;
}

/** What every hook inside the step has: handles become tensors. */
export interface StepContext {
  readonly run: RunInfo;
  readonly batch: BatchStatistics;
  /** A declared schedule (scalar) or input as a tensor. */
  value(handle: ScheduleHandle | InputHandle): Tensor;
  /** The step's masks; undefined before their first epoch. */
  masked(handle: MaskHandle): MaskedPatches | undefined;
  /** A variable as the network reads it (default: the student). */
  read(variable: VariableHandle, network?: Network): Tensor;
  /** Runs a head, on rows [R, in] or what it takes, with the network's weights. */
  apply<In extends Tensor, Out extends Tensor>(head: HeadHandle<In, Out>, network: Network, input: In): Out;
  /**
   * [out, in] of a head that is a product alone, such as prototypes: `apply` is `linear(input, weight)` there.
   *
   * @throws HEAD_NOT_LINEAR for other heads
   */
  weight(head: HeadHandle, network: Network): Tensor2D;
  phase<T extends PhaseValue>(handle: PhaseHandle<T>): T;
  /** Computes once a step and remembers, across hooks and plugins: teacher logits read by loss and update. */
  once<T extends Tensor>(key: string, compute: () => T): T;
  /** [count * B, 5] crop rectangles of a view group: x, y, width, height in source pixels, flip 0 or 1. */
  rects(group: string): Tensor2D;
  /** [B] class indices, -1 where there is none. */
  readonly labels: Tensor1D;
}

/** The step, and the view group whose pixels are augmented. */
export interface AugmentContext extends StepContext {
  readonly views: ViewGroupSpec;
}

/** In-tape hooks receive the pass they are in; `read` defaults to its network. */
export interface PassContext extends StepContext {
  readonly pass: Pass;
}

/** What a pass gives. Computed when first read. */
export interface BackboneOutput {
  readonly grid: TokenGrid;
  /** [B, T, D] after the last block, before the final norm. */
  readonly tokens: Tensor3D;
  /** [B, N, D] patch tokens of `tokens`. */
  readonly patchTokens: Tensor3D;
  /** [B, N, D] patch tokens after the final norm. */
  readonly patchTokensNormed: Tensor3D;
  /** [B, D] class token after the final norm; of a backbone without one, the mean patch token after it. */
  readonly clsToken: Tensor2D;
  /** [B, R, D] register tokens after the final norm. */
  readonly registerTokens: Tensor3D;
  /** [B, T, D] after block i (negative from the end), before the final norm. */
  block(index: number): Tensor3D;
  /** The final norm of some of these tokens, [rows, D]. */
  norm(rows: Tensor2D): Tensor2D;
}

export interface RelationContext extends PassContext {
  /** [B, N, D] of the last block, before the final norm. */
  readonly patchTokens: Tensor3D;
  readonly output: BackboneOutput;
}

/** Of a relation that is a product of features with themselves. */
export interface BilinearOptions {
  readonly axis: "token" | "channel";
  /** Along tokens: the features are split into so many (default 1). */
  readonly heads?: number;
  /** Default 1. */
  readonly scale?: number;
}

/** Write-only: relations by name. */
export interface RelationSink {
  /**
   * A relation of the form R = scale * f f^T (axis "token": [B, h, N, N]) or scale * f^T f (axis "channel":
   * [B, D, D]). The core samples the features on the views' overlap before it multiplies.
   */
  addBilinear(name: string, features: Tensor3D, options: BilinearOptions): void;
  /** Any other relation, one matrix per sample: [B, …, rows, columns]. It is compared unaligned. */
  add(name: string, matrix: Tensor): void;
}

/**
 * Compares a relation of each teacher view with that of each other student view: the mean over the pairs of views
 * and their samples.
 *
 * Relations along tokens that were added as bilinear are compared on the points that both views see; all others as
 * they are. `compare` is given n matrices of each side, and gives a loss for each, or for each of their rows (n times
 * as many values, in order), or the mean over all of them as a scalar.
 */
export type CrossView = (
  relation: string,
  compare: (teacher: Tensor, student: Tensor, pairs: ComparedPairs) => Tensor,
  options?: CrossViewOptions,
) => Tensor;

/** What `compare` is told of the matrices that it gets. */
export interface ComparedPairs {
  readonly teacher: Pass;
  readonly student: Pass;
  /**
   * [n] 1 where the two crops overlap, else 0; null for relations that are compared without alignment. Aligned matrices
   * lie by teacher view, sample and other view.
   */
  readonly overlaps: Tensor1D | null;
}

/** How relations are compared across views. */
export interface CrossViewOptions {
  /** Made of each teacher relation once, before `compare` gets it: a softmax. */
  readonly target?: (teacher: Tensor) => Tensor;
  /** `compare` is linear in the target, as a cross-entropy is: unaligned targets of one view may be averaged first. */
  readonly linear?: boolean;
  /** Points per side of the overlap of two views of one group, and of different groups (default 13 and 6). */
  readonly overlapSide?: { readonly global: number; readonly local: number };
  /**
   * What points see beyond the middle of a view's outermost patches: nothing, so that they are dimmed, to a half at an
   * edge and a quarter in a corner, as in SERE's code ("zeros", the default), or those patches ("border").
   */
  readonly padding?: "zeros" | "border";
  /** Whether samples whose crops do not overlap, of which nothing is compared, count in the mean (default: count). */
  readonly disjoint?: "count" | "skip";
  /**
   * The network whose relations teach (default "teacher"): in the shared passes whose patches the plugin asked for, or
   * else in that of the first view group.
   */
  readonly teacher?: string;
}

/** The step, and what its passes gave. */
export interface LossContext extends StepContext {
  output(pass: Pass): BackboneOutput;
  /** [count * B, S, S, C] augmented and normalised pixels of a view group. */
  pixels(group: string): Tensor4D;
  readonly crossView: CrossView;
}

/** Write-only: named scalar terms. */
export interface LossSink {
  /** Adds `weight * value` to the total. The weight is a number or a schedule. */
  add(name: string, weight: number | ScheduleHandle, value: Tensor): void;
  /**
   * A probe learns from the features without teaching the backbone: its outputs carry no gradient. Its weights are
   * trained on `weight * value`, which is no part of the total, nor their gradients of the norm that is logged.
   */
  addProbe(name: string, weight: number | ScheduleHandle, value: (context: LossContext) => Tensor): void;
  /** A value to look at, not to train on: scalars are logged, others are outputs of the program only. */
  metric(name: string, value: Tensor): void;
}

/** The step after the optimizer: reads give what was before, and buffers can be written. */
export interface UpdateContext extends StepContext {
  output(pass: Pass): BackboneOutput;
  /** Sets a buffer, after the optimizer, unless the step was not finite. */
  write(buffer: VariableHandle, value: Tensor, network?: Network): void;
}

// --- host hooks --------------------------------------------------------------------------------------------

export interface StepResult extends Progress {
  /** Loss terms, total, metrics and schedules by name. */
  readonly scalars: Readonly<Record<string, number>>;
  readonly imagesPerSecond: number;
}

export interface EpochContext extends Progress {
  /** Whether training ends here. */
  readonly last: boolean;
  /** Adds a figure to the log of this step. */
  log(name: string, value: number): void;
}
