import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import {
  accelerated,
  constant,
  float32,
  isDeclaredConstant,
  isFloat32Island,
  layerNorm,
  linear,
  softmaxCrossEntropy,
  withGradient,
} from "../../../core/math/index.ts";
import { assertClose, normal, useCpuBackend } from "./numeric.ts";

/** Kernels that run in a float32 island while `f` does. */
function kernelsInIslands(f: () => void): string[] {
  const engine = tf.engine();
  const runKernel = engine.runKernel.bind(engine);
  const inside: string[] = [];
  Object.assign(engine, {
    runKernel: (name: string, ...rest: [tf.NamedTensorMap, tf.NamedAttrMap]) => {
      if (isFloat32Island()) inside.push(name);
      return runKernel(name, ...rest) as tf.Tensor | tf.Tensor[];
    },
  });
  try {
    f();
  } finally {
    Reflect.deleteProperty(engine, "runKernel");
  }
  return inside;
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

  it("norms and cross-entropy are islands, linear layers are not", () => {
    const [x, w] = [normal<tf.Rank.R2>("x", [3, 4]), normal<tf.Rank.R2>("w", [4, 4])];
    const inside = (f: (x: tf.Tensor2D) => tf.Tensor) =>
      kernelsInIslands(() => void tf.grad((x: tf.Tensor) => f(x as tf.Tensor2D))(x));
    const norm = inside((x) => layerNorm(x, tf.ones([4]), tf.zeros([4])));
    assert.equal(norm.filter((name) => name === tf.Mean).length, 4); // mean, variance; two in the gradient
    assert.ok(
      inside((x) => softmaxCrossEntropy(tf.slice(tf.softmax(w), [0, 0], [3, 4]), x)).includes(tf.Exp),
    );
    assert.deepEqual(inside((x) => linear(x, w)), []); // prettier-ignore
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
