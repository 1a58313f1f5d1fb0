/** KoLeo against golden values, and by its properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import koleo from "../../../plugins/koleo/index.ts";
import { koleoLoss } from "../../../plugins/koleo/loss.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import { at, coded, globalViews, localViews, tinyBatch, tinyTraining } from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";
import { readGolden, waveTensor } from "../../support/golden.ts";

describe("koleoLoss", () => {
  useCpuBackend();

  const of = (features: tf.Tensor2D) => koleoLoss(features).dataSync()[0]!;

  const golden = readGolden<{ n: number; dim: number; phase: number; loss: number; gradient: number[] }[]>(
    import.meta.url,
    "golden.json",
  );
  for (const { n, dim, phase, loss, gradient } of golden) {
    it(`is PyTorch's for ${n} samples, and so is its gradient`, () => {
      const features = waveTensor<tf.Rank.R2>([n, dim], phase);
      assert.ok(Math.abs(of(features) - loss) < 1e-6, `${of(features)} is not ${loss}`);
      const [got] = tf.grads((x) => koleoLoss(x as tf.Tensor2D))([features]);
      assertClose(got!, { values: Float32Array.from(gradient), shape: [n, dim] }, 1e-5, "gradient");
    });
  }

  it("is -log sqrt 2 for orthogonal rows, whatever their length, and lower the further they are", () => {
    const orthogonal = tf.tensor2d([[3, 0, 0], [0, 1, 0], [0, 0, 0.2]]); // prettier-ignore
    assert.ok(Math.abs(of(orthogonal) + Math.log(Math.SQRT2)) < 1e-6);
    const angle = (radians: number) => tf.tensor2d([[1, 0], [Math.cos(radians), Math.sin(radians)]]); // prettier-ignore
    const losses = [0.1, 0.5, 1, 2, Math.PI].map((radians) => of(angle(radians)));
    assert.deepEqual(
      losses,
      losses.toSorted((a, b) => b - a),
    );
    assert.ok(Math.abs(losses.at(-1)! + Math.log(2)) < 1e-6);
  });

  it("has the gradient of both sides of each distance, and a finite one for equal rows", () => {
    // Rows long enough that no step of the differences changes who is nearest.
    assertGradients((x) => koleoLoss(x as tf.Tensor2D), [normal("x", [5, 4], 10)]);
    const [gradient] = tf.grads((x) => koleoLoss(x as tf.Tensor2D))([tf.ones([3, 4])]);
    assert.ok(gradient!.dataSync().every(Number.isFinite));
  });

  it("refuses a single row", () => assert.throws(() => koleoLoss(tf.ones([1, 4])), /no neighbour/));
});

describe("the koleo plugin", () => {
  it("adds the loss of each global view, and refuses micro-batches of one", async () => {
    const engine = await makeEngine("eager on cpu");
    const views = [globalViews, localViews];
    const training = await tinyTraining(engine, [koleo()], { views, run: { batchSize: 3 } });
    const { scalars } = await training.step("train", tinyBatch(training), at(1));
    assert.ok(Number.isFinite(scalars["loss/koleo"]));
    assert.ok(Math.abs(scalars["loss"]! - 0.1 * scalars["loss/koleo"]!) < 1e-6);
    engine.close();
    const other = await makeEngine("eager on cpu");
    const single = tinyTraining(other, [koleo()], { views, run: { batchSize: 1 } });
    await assert.rejects(single, coded("BATCH_TOO_SMALL", '"koleo"', "1 at a time"));
    other.close();
  });
});
