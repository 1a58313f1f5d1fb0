/** Parameters as backbones and heads declare and read them. */
import type { Tensor } from "@tensorflow/tfjs-core";

/** How a parameter starts. */
export type Initializer =
  | { readonly kind: "zeros" }
  | { readonly kind: "ones" }
  | { readonly kind: "constant"; readonly value: number }
  /** Normal with mean 0, redrawn outside -2 … 2. */
  | { readonly kind: "truncatedNormal"; readonly std: number }
  /** Uniform in -bound … bound. */
  | { readonly kind: "uniform"; readonly bound: number };

/** A declared parameter. What is decayed is the optimizer's choice, by name and rank. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
  /** Exists in the student only: networks that follow it have no twin. */
  readonly studentOnly?: boolean;
  /** Gets gradients (default true). */
  readonly trainable?: boolean;
}

/** The tensor of a parameter in the network at hand. */
export type Parameters = (name: string) => Tensor;
