/** Losses that are sums over rows, in chunks: the same numbers as at once, and one chunk after another. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Tracer } from "../../../core/engine/engine.ts";
import { linear, sumOverRows, temperedCrossEntropy } from "../../../core/math/index.ts";
import { makeEngine } from "../../support/engines.ts";
import { recordsOf } from "../engine/contract/setup.ts";
import { assertGradients, normal, useCpuBackend } from "./numeric.ts";

const [ROWS, FEATURES, CLASSES] = [7, 3, 5];

/** Weighted cross-entropy of softmax(x w^T) with softmax(teacher). */
function loss(x: tf.Tensor, weight: tf.Tensor, chunkRows: number): tf.Scalar {
  const rows = [normal<tf.Rank.R2>("teacher", [ROWS, CLASSES]), tf.range(1, ROWS + 1)] as const;
  return sumOverRows(
    { x: x as tf.Tensor2D, rows, weights: [weight], width: CLASSES },
    (x, [teacher, importance], [weight]) => {
      const losses = temperedCrossEntropy(tf.softmax(teacher), linear(x, weight), 0.5);
      return tf.sum(tf.mul(losses, importance)) as tf.Scalar;
    },
    chunkRows * CLASSES,
  );
}

const feeds = {
  x: Float32Array.from({ length: ROWS * FEATURES }, (_, i) => Math.sin(i)),
  weight: Float32Array.from({ length: CLASSES * FEATURES }, (_, i) => Math.cos(i)),
};

function trace(tracer: Tracer, chunkRows: number): void {
  const x = tracer.input("x", [ROWS, FEATURES], "float32");
  const weight = tracer.input("weight", [CLASSES, FEATURES], "float32");
  // The loss is one term of two: what it gives passes through the chain rule.
  const total = (x: tf.Tensor, weight: tf.Tensor) =>
    tf.add(tf.mul(loss(x, weight, chunkRows), 3), tf.sum(tf.square(x)));
  const { value, grads } = tf.valueAndGrads(total)([x, weight]);
  [value, ...grads].forEach((output, i) => tracer.output(`${i}`, output));
}

describe("a loss summed over rows in chunks", () => {
  describe("alone", () => {
    useCpuBackend();

    it("has the gradient of differences", () => {
      const inputs = [normal("x", [ROWS, FEATURES]), normal("weight", [CLASSES, FEATURES])];
      assertGradients((x, weight) => loss(x!, weight!, 2), inputs);
    });

    it("takes rows one by one where a single one is too wide", () => {
      const [x, weight] = [normal("x", [ROWS, FEATURES]), normal("weight", [CLASSES, FEATURES])];
      const [whole, single] = [loss(x, weight, ROWS), loss(x, weight, 0.1)].map((l) => l.dataSync()[0]!);
      assert.ok(Math.abs(whole! - single!) < 1e-4 * whole!, `${whole}, ${single}`);
    });
  });

  for (const kind of ["captured", "compiled", "eager on cpu"] as const) {
    it(`is what it is at once, with its gradients, ${kind}`, async () => {
      const engine = await makeEngine(kind);
      const outputsOf = async (chunkRows: number) =>
        (await engine.program(`rows${chunkRows}`, (tracer) => trace(tracer, chunkRows))).run(feeds);
      const whole = await outputsOf(ROWS);
      for (const chunkRows of [1, 3, 4]) {
        for (const [name, got] of Object.entries(await outputsOf(chunkRows))) {
          const want = whole[name]!;
          got.forEach((value, i) => {
            const apart = Math.abs(value - want[i]!);
            assert.ok(
              apart < 1e-5 * Math.max(1, Math.abs(want[i]!)),
              `${name} at ${i}: ${value}, ${want[i]}`,
            );
          });
        }
      }
      engine.close();
    });
  }

  it("computes a chunk when the one before is done, and no product twice", async () => {
    const engine = await makeEngine("captured");
    const recordOf = async (chunkRows: number) =>
      recordsOf(await engine.program(`rows${chunkRows}`, (tracer) => trace(tracer, chunkRows)));
    const count = async (chunkRows: number, op: string) =>
      (await recordOf(chunkRows)).filter((record) => record.op === op).length;
    const products = await count(ROWS, "MatMul");
    assert.ok(products >= 3, `${products} products: logits and two gradients`);
    assert.equal(await count(3, "MatMul"), 3 * products);
    // Of three chunks two wait, with x and both rows each, for both gradients of the one before.
    assert.equal(await count(3, "RelataAfter"), 12);
    engine.close();
  });
});
