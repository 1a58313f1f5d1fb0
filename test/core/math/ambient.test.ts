import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import {
  accelerated,
  batchNorm,
  constant,
  float32,
  interpolatePositions,
  isDeclaredConstant,
  isFloat32Island,
  l2Normalize,
  layerNorm,
  linear,
  sampleFeatures,
  softmaxCrossEntropy,
  withGradient,
} from "../../../core/math/index.ts";
import { assertClose, normal, useCpuBackend } from "./numeric.ts";

/** The kernels of f and of its gradient to x that run in a float32 island, and those that do not. */
function kernelsOf<T extends tf.Tensor>(
  f: (x: T) => tf.Tensor,
  x: T,
): { inside: string[]; outside: string[] } {
  const engine = tf.engine();
  const runKernel = engine.runKernel.bind(engine);
  const kernels = { inside: [] as string[], outside: [] as string[] };
  Object.assign(engine, {
    runKernel: (name: string, ...rest: [tf.NamedTensorMap, tf.NamedAttrMap]) => {
      kernels[isFloat32Island() ? "inside" : "outside"].push(name);
      return runKernel(name, ...rest) as tf.Tensor | tf.Tensor[];
    },
  });
  try {
    tf.grad((x: tf.Tensor) => f(x as T))(x);
  } finally {
    Reflect.deleteProperty(engine, "runKernel");
  }
  return kernels;
}

describe("core/math declarations", () => {
  useCpuBackend();

  it("a float32 island nests and ends with an error", () => {
    assert.equal(isFloat32Island(), false);
    assert.equal(float32(() => float32(isFloat32Island)), true); // prettier-ignore
    assert.throws(() =>
      float32(() => {
        throw new Error("inside");
      }),
    );
    assert.equal(isFloat32Island(), false);
  });

  it("a gradient runs in the island that its operation was made in", () => {
    const x = normal<tf.Rank.R2>("x", [3, 4]);
    const seen: boolean[] = [];
    const square = (x: tf.Tensor) =>
      withGradient(
        [x],
        () => ({ value: tf.square(x), saved: [x] }),
        (dy, [x]) => {
          seen.push(isFloat32Island());
          return [tf.mul(dy, tf.mul(x, 2))];
        },
      );
    tf.grad((x: tf.Tensor) =>
      tf.add(
        float32(() => square(x)),
        square(x),
      ),
    )(x);
    assert.deepEqual(seen, [false, true]); // the last operation is differentiated first
  });

  it("a gradient may hand its dy to several inputs", () => {
    const plus = (a: tf.Tensor, b: tf.Tensor) =>
      withGradient(
        [a, b],
        () => ({ value: tf.add(a, b), saved: [] }),
        (dy) => [dy, dy],
      );
    const inputs = [normal("a", [3]), normal("b", [3])];
    // The tape adds up, and disposes of, what reaches a and b on both ways.
    const [da, db] = tf.grads((a, b) => tf.sum(tf.mul(plus(plus(a!, b!), plus(b!, a!)), 2)))(inputs);
    assertClose(da!, tf.fill([3], 4), 0);
    assertClose(db!, tf.fill([3], 4), 0);
  });

  it("norms, cross-entropy and resampling are islands with their gradients, linear layers are not", () => {
    const x = normal<tf.Rank.R2>("x", [3, 4]);
    const [one, zero] = [tf.ones([4]), tf.zeros([4])];
    const labels = tf.softmax(normal<tf.Rank.R2>("labels", [3, 4]));
    const tokens = normal<tf.Rank.R3>("tokens", [1, 4, 2]);
    const weights = normal<tf.Rank.R3>("weights", [1, 3, 2]);
    const [small, large] = [2, 3].map((side) => ({ rows: side, columns: side }));
    const islands = [
      kernelsOf((x) => layerNorm(x, one, zero), x),
      kernelsOf((x) => batchNorm(x, one, zero).y, x),
      kernelsOf((x) => l2Normalize(x), x),
      kernelsOf((x) => softmaxCrossEntropy(labels, x), x),
      kernelsOf((x) => interpolatePositions(x, small!, large!), tokens),
      kernelsOf((x) => sampleFeatures(x, { y: weights, x: weights }), tokens),
    ];
    for (const { inside, outside } of islands) {
      assert.ok(inside.length > 5);
      assert.deepEqual(outside, []);
    }
    assert.deepEqual(kernelsOf((x) => linear(x, normal("w", [4, 4])), x).inside, []); // prettier-ignore
  });

  it("a constant is declared with the array that the backend gets", () => {
    const values = Float32Array.of(1, 2, 3, 4);
    const tensor = constant(values, [2, 2]);
    assert.ok(isDeclaredConstant(values));
    assert.ok(!isDeclaredConstant(Float32Array.from(values)));
    assert.equal(tensor.dataSync(), values);
    assert.equal(constant(Int32Array.of(1), [1]).dtype, "int32");
  });

  it("a backend's kernel replaces the portable body", () => {
    const [logits, labels] = [
      normal<tf.Rank.R2>("logits", [3, 4]),
      tf.softmax(normal<tf.Rank.R2>("t", [3, 4])),
    ];
    const run = () =>
      tf.grad((z: tf.Tensor) => tf.sum(softmaxCrossEntropy(labels, z as tf.Tensor2D)))(logits);
    const portable = run();
    assertClose(portable, tf.sub(tf.softmax(logits), labels), 1e-6);

    const name = "RelataSoftmaxCrossEntropy";
    tf.registerKernel({
      kernelName: name,
      backendName: "cpu",
      kernelFunc: ({ inputs }) => {
        const [z, t] = [inputs["logits"] as tf.Tensor2D, inputs["labels"] as tf.Tensor2D];
        return [tf.sum(t, 1), tf.mul(z, 2)];
      },
    });
    try {
      assertClose(run(), tf.mul(logits, 2), 1e-6);
      const [loss] = accelerated(name, { logits, labels }, {}, () => assert.fail("the portable body ran"));
      assertClose(loss!, tf.ones([3]), 1e-6);
    } finally {
      tf.unregisterKernel(name, "cpu");
    }
    assertClose(run(), portable, 0);
  });
});
