/** What declarations of `setup` give, and what declared things are: networks, passes, heads, inputs, phases. */
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { TokenGrid } from "./backbone.ts";
import type { ViewGroupSpec } from "./data/view-group.ts";
import type { Parameters, ParameterSpec } from "./parameters.ts";

/** A set of weights with the backbone's and the heads' shapes. `student` is trained; others follow one. */
export interface Network {
  readonly name: string;
  /** Absent for the student. */
  readonly from?: Network;
  readonly update?: NetworkUpdate;
}

/**
 * How a network follows another: `ema` by the teacher momentum, never, or as a copy every n steps, from a step on
 * (default 0). A copy is what the step that makes it leaves behind: it counts from the next step. Weights follow;
 * buffers, such as BatchNorm's statistics, are each network's own.
 */
export type NetworkUpdate = "ema" | "frozen" | { readonly copyEvery: number; readonly fromStep?: number };

/** Of a network that follows another. */
export interface NetworkSpec {
  readonly from: string;
  readonly update: NetworkUpdate;
}

/** One forward pass of a network over a view group. Equal passes are shared and run once. */
export interface Pass {
  readonly key: string;
  readonly network: Network;
  readonly views: ViewGroupSpec;
  /** Plugins that mask leave it alone. */
  readonly unmasked: boolean;
  /** The plugin whose own it is, which may drop tokens in it. */
  readonly owner: string | undefined;
  readonly grid: TokenGrid;
}

/** What `setup.pass` is asked for. */
export interface PassSpec {
  readonly network: Network;
  /** Name of a view group. */
  readonly views: string;
  /**
   * A pass that plugins which mask leave alone, beside the one that they mask. By default all methods share one
   * pass: what iBOT masks, DINO's class token and the relations see masked too.
   */
  readonly unmasked?: boolean;
  /**
   * A name: the pass is this plugin's own, beside the shared ones. Nobody else masks or reads it, and the plugin's taps
   * on `tokens` may drop tokens in it.
   */
  readonly own?: string;
  /** The pass runs in epochs in which this is true (default: in all), with all that anyone reads of it in any epoch. */
  readonly phase?: PhaseHandle<boolean>;
  /** What will be read. Undeclared outputs are refused; patches that nobody reads are not computed. */
  readonly outputs: {
    readonly cls?: boolean;
    readonly patches?: boolean;
    /** Indices of blocks, negative from the end. */
    readonly blocks?: readonly number[];
  };
}

/** A declared variable. Its tensor depends on the network that reads it. */
export interface VariableHandle {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A named module of parameters that plugins share by name: the same name and spec give the same weights. */
export interface HeadHandle<In extends Tensor = Tensor2D, Out extends Tensor = Tensor2D> {
  readonly name: string;
  /** Phantom: what it maps to what. Never set. */
  readonly map?: (input: In) => Out;
}

/** Anything with declared parameters and a forward pass: of rows, of sequences, of whatever it says. */
export interface HeadModule<In extends Tensor = Tensor2D, Out extends Tensor = Tensor2D> {
  /** Compared when a second plugin asks for the same name: a different spec is an error. */
  readonly spec: Readonly<Record<string, unknown>>;
  parameters(): readonly ParameterSpec[];
  /** State beside the weights that each network has for itself and `forward` changes: running statistics. */
  buffers?(): readonly ParameterSpec[];
  /** Epochs at the start without updates of the weights, their moments and their step count. */
  readonly frozenEpochs?: number;
  /** What it maps to what: rows [R, in] to [R, out], sequences [B, T, in] to [B, T, out] … */
  forward(parameters: Parameters, input: In, state: HeadState): Out;
  /** [out, in] of a head that is x -> x weight^T and nothing else, for losses that make the product in pieces. */
  weight?(parameters: Parameters, state: HeadState): Tensor2D;
}

/** What a head's forward pass has besides its weights. */
export interface HeadState {
  readonly batch: BatchStatistics;
  /** Computes once a step for this head and network, however often it runs: something made of the weights alone. */
  once<T extends Tensor>(key: string, compute: () => T): T;
  /**
   * Changes one of the head's buffers when the step is over, unless it was not finite; also in micro-batches that
   * only accumulate gradients. Where the head runs several times a step, `next` sees the value so far.
   */
  update(buffer: string, next: (current: Tensor) => Tensor): void;
}

/** A scalar that changes by step, computed on the host and fed to the graph. */
export interface ScheduleHandle {
  readonly name: string;
}

/** A tensor drawn on the host each step and fed to the graph. */
export interface InputHandle {
  readonly name: string;
  readonly shape: InputShape;
  readonly dtype: "float32" | "int32";
}

/** The first dimension may be `null`: as many rows as the sampler gives. Each number of rows is a program of its own. */
export type InputShape = readonly number[] | readonly [null, ...number[]];

/** Which patches of a view group are masked, drawn on the host each step. */
export interface MaskHandle {
  readonly name: string;
  readonly group: string;
}

/** Structure that depends on the epoch: each value is a program of its own. */
export interface PhaseHandle<T extends PhaseValue = PhaseValue> {
  readonly name: string;
  /** Phantom: the type of the value. Never set. */
  readonly value?: T;
}
/** What a phase can be; by its value programs are told apart. */
export type PhaseValue = string | number | boolean;

/** Statistics over the whole batch: identity on one process, a collective on many. Differentiable. */
export interface BatchStatistics {
  /** Mean of a tensor that is already a mean over this process's samples. */
  mean<T extends Tensor>(x: T): T;
  sum<T extends Tensor>(x: T): T;
  /** [b, …] -> [b * processes, …]; the gradient of a process's rows is the sum of what all processes make of them. */
  gather<T extends Tensor>(x: T): T;
}
