/** The Gram loss and its targets against golden values of reference.py, and by their properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { gramLoss, resampleFeatures } from "../../../plugins/gram/loss.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import golden from "./golden.json" with { type: "json" };

const square = (side: number) => ({ rows: side, columns: side });

// As in reference.py.
const [n, D] = [2, 3];
const wave = (side: number, a: number, b: number) =>
  tf.tensor3d(
    Float32Array.from({ length: n * side ** 2 * D }, (_, i) => Math.sin(a * i) + 0.5 * Math.cos(b * i)),
    [n, side ** 2, D],
  );
const features = (values: readonly number[], side: number) => ({
  values: Float32Array.from(values),
  shape: [n, side ** 2, D],
});

describe("the Gram loss", () => {
  useCpuBackend();

  for (const { side, to, targets, loss, gradient } of golden) {
    it(`has the golden values with targets of ${side} x ${side} patches for ${to} x ${to}`, () => {
      const resampled = resampleFeatures(wave(side, 0.3, 1.1), square(side), square(to));
      assertClose(resampled, features(targets, to), 2e-6, "targets");
      const of = (x: tf.Tensor) => gramLoss(x as tf.Tensor3D, resampled);
      const { value, grad } = tf.valueAndGrad(of)(wave(to, 0.7, 1.9));
      const [got] = value.dataSync();
      assert.ok(Math.abs(got! - loss) < 2e-6 * loss, `${got}, ${loss}`);
      assertClose(grad, features(gradient, to), 1e-5, "gradient");
    });
  }

  it("has the gradient of the student alone", () => {
    const [student, targets] = ["student", "targets"].map((name) => normal<tf.Rank.R3>(name, [2, 4, 3]));
    assertGradients((x) => gramLoss(x as tf.Tensor3D, targets!), [student!]);
    const ofTargets = (x: tf.Tensor) => gramLoss(student!, x as tf.Tensor3D);
    assert.throws(() => tf.grad(ofTargets)(targets!), /Cannot compute gradient/);
  });

  it("is 0 for the same features turned, or of other lengths, and larger for others", () => {
    const x = normal<tf.Rank.R3>("x", [2, 4, 3]);
    const turn = tf.tensor2d([[0, 1, 0], [0, 0, -1], [1, 0, 0]]); // prettier-ignore
    const turned = tf.reshape(tf.matMul(tf.reshape(x, [8, 3]), turn), [2, 4, 3]);
    const of = (y: tf.Tensor) => gramLoss(x, y as tf.Tensor3D).dataSync()[0]!;
    assert.ok(of(turned) < 1e-12, `${of(turned)} turned`);
    assert.ok(of(tf.mul(x, tf.tensor3d([1, 5, 0.1, 2], [1, 4, 1]))) < 1e-12, "of other lengths");
    assert.ok(of(normal("y", [2, 4, 3])) > 0.01, "others");
  });

  it("is a mean over images and over pairs of patches", () => {
    // Two patches at right angles where the targets are alike: 2 of 4 similarities are off by 1.
    const right = tf.tensor3d([[[1, 0], [0, 1]]]); // prettier-ignore
    const alike = tf.tensor3d([[[1, 0], [1, 0]]]); // prettier-ignore
    assert.equal(gramLoss(right, alike).dataSync()[0], 0.5);
    const both = gramLoss(tf.concat([right, alike]), tf.concat([alike, alike])).dataSync()[0];
    assert.equal(both, 0.25);
  });
});

describe("resampleFeatures", () => {
  useCpuBackend();

  it("keeps what is the same everywhere, and gives features of the same grid back, the very tensor", () => {
    const flat = tf.tile(normal("one", [1, 1, 3]), [2, 16, 1]) as tf.Tensor3D;
    assertClose(resampleFeatures(flat, square(4), square(2)), tf.slice(flat, [0, 0, 0], [2, 4, 3]), 1e-6);
    assert.equal(resampleFeatures(flat, square(4), square(4)), flat);
  });
});
