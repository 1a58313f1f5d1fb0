/**
 * The ENGINE service: owns every variable and runs programs, functions of tensors that were traced once.
 *
 * Two implementations: the graph engine captures a program into one TensorFlow graph and runs it with one
 * session call; the eager engine runs the same function op by op on a tfjs backend.
 */
import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import type { HostArray } from "./c-api.ts";
import type { Precision } from "./autocast.ts";

export type { HostArray, Precision };

/** Of what programs are fed. */
export type InputType = "float32" | "int32" | "uint8";

/** State that lives in the engine, float32. */
export interface Variable {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
}

/** One tensor's step of AdamW. */
export interface AdamUpdate {
  readonly variable: Variable;
  /** First and second moments, of the variable's shape. */
  readonly m: Variable;
  readonly v: Variable;
  readonly gradient: Tensor;
  /** What the gradient is multiplied by first; absent = 1. */
  readonly scale?: Scalar;
  readonly lr: Scalar;
  /** Decoupled decay, multiplied by lr; absent = none. */
  readonly weightDecay?: Scalar;
  /** Updates so far, this one included. */
  readonly step: Scalar;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** What a program's body declares while it is traced. */
export interface Tracer {
  /** A fed tensor. uint8 arrives as float32 0 … 255. */
  input(name: string, shape: readonly number[], dtype: InputType): Tensor;
  /** The variable before this program's writes. */
  read(variable: Variable): Tensor;
  /** The variable after this program's writes so far. */
  updated(variable: Variable): Tensor;
  /** A value that every run gives back. */
  output(name: string, value: Tensor): void;
  assign(variable: Variable, value: Tensor): void;
  /** variable += rate * (value - variable), in place; an exponential moving average. */
  blend(variable: Variable, value: Tensor, rate: Scalar): void;
  /** AdamW (Loshchilov & Hutter 2019) in place. */
  adam(update: AdamUpdate): void;
  /**
   * Writes made inside `body` happen only in runs in which `condition` (bool scalar) holds. What depends on them
   * becomes an output outside of `body`, through `updated`.
   */
  when(condition: Tensor, body: () => void): void;
}

/** A program's body. */
export type Trace = (tracer: Tracer) => void;
/** Values by the name of the input. */
export type Feeds = Readonly<Record<string, HostArray>>;

/** Where a non-finite value first appeared. */
export interface NonFinite {
  readonly op: string;
  readonly scope: string;
  /** The op in whose gradient it is, as tfjs calls its kernel. */
  readonly gradientOf?: string;
}

/** A body that was traced, ready to run. */
export interface Program {
  /** Feeds by input name. Throws PROGRAM_FEED for a missing one or a wrong length or type, and VARIABLE_UNKNOWN. */
  run(feeds: Feeds): Promise<Record<string, HostArray>>;
}

/** What XLA compiles: nothing, the pieces that the code declares with `fused`, or all that it can. */
export type Jit = "off" | "fused" | "xla";

/** What computes, as the report and `relata doctor` tell it. */
export interface EngineDescription {
  readonly kind: "graph" | "eager";
  readonly backend: string;
  readonly device: string;
  /** Why the CPU computes although there is a GPU's driver and nobody asked for the CPU. */
  readonly deviceProblem?: string;
  readonly precision: Precision;
  readonly jit: Jit;
  /** Why nothing is compiled although it was asked for. */
  readonly jitProblem?: string;
  /** Version of libtensorflow, or of the tfjs backend. */
  readonly library: string;
}

/** What ENGINE is bound to. */
export interface Engine {
  readonly description: EngineDescription;
  /** Declares a variable. It has no value until `load`. Throws VARIABLE_DECLARED_TWICE. */
  variable(name: string, shape: readonly number[]): Variable;
  /** Throws VARIABLE_UNKNOWN, and VARIABLE_VALUES for a wrong length. */
  load(values: Iterable<readonly [Variable, Float32Array]>): Promise<void>;
  /** Throws VARIABLE_UNKNOWN where nothing was loaded. */
  save(variables: readonly Variable[]): Promise<Float32Array[]>;
  /** Traces the body. The same body may be traced more than once. */
  program(name: string, trace: Trace): Promise<Program>;
  /** Traces the body again and compares with what `program` captured. Throws FROZEN_VALUE. */
  verify(program: Program): void;
  /** Runs the program without writing, and names the first op whose result is not finite. */
  firstNonFinite(program: Program, feeds: Feeds): Promise<NonFinite | undefined>;
  /** Frees everything. The engine is not used afterwards. */
  close(): void;
}
