/** How the table of ops is written: an op, inputs to try it on, and what capture can do with it. */
import type * as tf from "@tensorflow/tfjs-core";

export interface Sample {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32" | "bool";
  /** From the element's index and the input's position. */
  readonly value: (index: number, input: number) => number;
}

export interface OpCase {
  /** As a plugin writes it after `tf.`. */
  readonly op: string;
  /** A heading of docs/ops.md. */
  readonly group: string;
  readonly gradient: boolean;
  readonly inputs: readonly Sample[];
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
}

/** Parameters of any tensor types: the samples beside it say which. */
type Body = (...inputs: never[]) => tf.Tensor | tf.Tensor[];
type Add = (op: string, inputs: readonly Sample[], run: Body) => OpCase;

/** Makers of the cases of one heading: for ops with a gradient, and for those without. */
export function group(name: string): { differentiable: Add; forward: Add } {
  const add =
    (gradient: boolean): Add =>
    (op, inputs, run) => ({ op, group: name, gradient, inputs, run: run as OpCase["run"] });
  return { differentiable: add(true), forward: add(false) };
}

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const OFFSET = 0.37;

/** Distinct values spread over (low, high), others for each input, none of them twice. */
export const real = (shape: readonly number[], low = -1, high = 1): Sample => ({
  shape,
  dtype: "float32",
  value: (index, input) => low + (high - low) * (((index + 1) * GOLDEN_RATIO + input * OFFSET) % 1),
});

/** 0 … below - 1 in mixed order. */
export const whole = (shape: readonly number[], below: number): Sample => ({
  shape,
  dtype: "int32",
  value: (index, input) => (index * 7 + input * 3 + 1) % below,
});

export const given = (shape: readonly number[], values: readonly number[]): Sample => ({
  shape,
  dtype: "int32",
  value: (index) => values[index]!,
});

export const truth = (shape: readonly number[]): Sample => ({
  shape,
  dtype: "bool",
  value: (index, input) => ((index + input) % 3 === 0 ? 1 : 0),
});
