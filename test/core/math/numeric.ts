/** Comparing tensors, and analytic gradients with finite differences. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import "../../../core/engine/kernel-layer.ts"; // registers the gradients of tfjs's own ops
import { Random } from "../../../core/random.ts";

/** Runs the tests of a `describe` on tfjs's cpu backend and disposes of what they leave. */
export function useCpuBackend(): void {
  before(() => tf.setBackend("cpu"));
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());
}

const valuesOf = (tensor: tf.Tensor) => tensor.dataSync<"float32">();

/** A tensor of standard normal draws, the same for the same name. */
export function normal<R extends tf.Rank = tf.Rank>(name: string, shape: number[], scale = 1): tf.Tensor<R> {
  const random = new Random(0, "test", name);
  const size = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: size }, () => scale * random.normal());
  return tf.tensor<R>(values, shape as tf.ShapeMap[R]);
}

/** Fails unless every element is within `tolerance` times the largest expected magnitude. */
export function assertClose(
  actual: tf.Tensor,
  expected: tf.Tensor | { readonly values: Float32Array; readonly shape: readonly number[] },
  tolerance: number,
  what = "tensor",
): void {
  assert.deepEqual([...actual.shape], [...expected.shape], `shape of ${what}`);
  const got = valuesOf(actual);
  const want = "values" in expected ? expected.values : valuesOf(expected);
  const scale = want.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const error = want.reduce((max, x, i) => Math.max(max, Math.abs(x - got[i]!)), 0);
  assert.ok(error <= tolerance * scale, `${what}: off by ${error}, the largest value is ${scale}`);
}

/**
 * Compares the gradients of sum(r * f(...inputs)), with a fixed random r, with central differences of fourth
 * order along every coordinate. In float32 they agree to about 1e-4 of the largest.
 */
export function assertGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  tolerance = 1e-3,
  step = 0.02,
): void {
  const weights = normal("output weights", f(...inputs).shape);
  const direction = valuesOf(weights);
  const value = (tensors: tf.Tensor[]): number =>
    tf.tidy(() => valuesOf(f(...tensors)).reduce((sum, y, i) => sum + y * direction[i]!, 0));
  const gradients = tf.grads((...xs: tf.Tensor[]) => tf.sum(tf.mul(f(...xs), weights)))(inputs);

  gradients.forEach((gradient, n) => {
    const base = valuesOf(inputs[n]!);
    const numeric = Float32Array.from(base, (x, i) => {
      const at = (delta: number): number => {
        const moved = Float32Array.from(base);
        moved[i] = x + delta;
        return value(inputs.map((input, m) => (m === n ? tf.tensor(moved, input.shape) : input)));
      };
      return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
    });
    assertClose(gradient, { values: numeric, shape: inputs[n]!.shape }, tolerance, `gradient of input ${n}`);
  });
}

/** Runs `f` while no tensor's value may be read, as in a captured step. */
export function withoutReading<T>(f: () => T): T {
  const engine = tf.engine();
  const refuse = () => {
    throw new Error("a tensor's value was read");
  };
  Object.assign(engine, { readSync: refuse, read: refuse });
  try {
    return f();
  } finally {
    Reflect.deleteProperty(engine, "readSync");
    Reflect.deleteProperty(engine, "read");
  }
}
