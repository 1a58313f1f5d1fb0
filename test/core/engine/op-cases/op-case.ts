/** How the table of ops is written: an op, inputs to try it on, and what capture can do with it. */
import type * as tf from "@tensorflow/tfjs-core";

/**
 * yes: a gradient; zero: tfjs defines it as zero; none: asking for one is an error, or nothing is there to
 * differentiate.
 */
export type GradientKind = "yes" | "zero" | "none";

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
  readonly gradient: GradientKind;
  readonly inputs: readonly Sample[];
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  /** tfjs's cpu backend gives another gradient, which is wrong. */
  readonly wrongOnCpu: boolean;
}

/** Its parameters are tensors of the ranks that the samples beside it have. */
export type Body = (...inputs: never[]) => tf.Tensor | tf.Tensor[];
type Add = (op: string, inputs: readonly Sample[], run: Body) => OpCase;

/** Makers of the cases of one heading. */
export function group(name: string): { differentiable: Add; wrongOnCpu: Add; zero: Add; forward: Add } {
  const add =
    (gradient: GradientKind, wrongOnCpu = false): Add =>
    (op, inputs, run) => ({ op, group: name, gradient, inputs, run: run as OpCase["run"], wrongOnCpu });
  return {
    differentiable: add("yes"),
    wrongOnCpu: add("yes", true),
    zero: add("zero"),
    forward: add("none"),
  };
}

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const OFFSET = 0.37;

/** Distinct values spread over (low, high), others for each input. */
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
  value: (index, input) => (index % (2 + input) === 0 ? 1 : 0),
});
