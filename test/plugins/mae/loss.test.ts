/** Targets and loss of MAE against golden values, and by their properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { normalisePatches, patchPixels, reconstructionLoss } from "../../../plugins/mae/loss.ts";
import { tokensAt } from "../../../plugins/mae/tokens.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import { formula, golden, images, KEPT, placesOf, sizes, VALUES } from "./golden.ts";

describe("patchPixels", () => {
  useCpuBackend();

  it("gives patches row by row, and in each y, x, channel", () => {
    // 2 x 3 patches of 2 x 2; every value tells its own y, x and channel.
    const [height, width, channels] = [4, 6, 3];
    const values = Float32Array.from({ length: height * width * channels }, (_, i) => {
      const [y, x, c] = [Math.floor(i / (width * channels)), Math.floor(i / channels) % width, i % channels];
      return 100 * y + 10 * x + c;
    });
    const patches = patchPixels(tf.tensor4d(values, [1, height, width, channels]), 2);
    assert.deepEqual(patches.shape, [1, 6, 12]);
    const rows = (patches.arraySync() as number[][][])[0]!;
    assert.deepEqual(rows[0], [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112]);
    assert.deepEqual(rows[1], [20, 21, 22, 30, 31, 32, 120, 121, 122, 130, 131, 132]);
    assert.deepEqual(rows[5], [240, 241, 242, 250, 251, 252, 340, 341, 342, 350, 351, 352]);
  });
});

describe("normalisePatches", () => {
  useCpuBackend();

  it("gives each patch mean 0 and unbiased variance 1, whatever its brightness and contrast", () => {
    const patches = normal<tf.Rank.R3>("patches", [2, 3, 12]);
    const normalised = normalisePatches(patches);
    const { mean, variance } = tf.moments(normalised, 2);
    assertClose(tf.add(mean, 1), tf.ones([2, 3]), 1e-6, "means, and 1");
    assertClose(tf.mul(variance, 12 / 11), tf.ones([2, 3]), 1e-5, "unbiased variances");
    const brighter = normalisePatches(tf.add(tf.mul(patches, 3), 2) as tf.Tensor3D);
    assertClose(brighter, normalised, 1e-5);
  });

  it("is 0 for a patch of one colour", () => {
    const values = normalisePatches(tf.fill([1, 2, 12], 0.5)).dataSync();
    assert.ok(values.every((value) => value === 0), values.join()); // prettier-ignore
  });
});

describe("reconstructionLoss", () => {
  useCpuBackend();

  const predicted = () => formula<tf.Rank.R3>("predicted", [sizes.images, 6 - KEPT, VALUES]);
  const dropped = () => tokensAt(patchPixels(images(), sizes.patchSize), placesOf(KEPT));

  for (const [name, targetOf] of Object.entries({
    normalised: () => normalisePatches(dropped()),
    plain: dropped,
  })) {
    it(`of ${name} pixels has the golden value and gradient`, () => {
      const target = targetOf();
      const { value, grad } = tf.valueAndGrad((x) => reconstructionLoss(x as tf.Tensor3D, target))(
        predicted(),
      );
      const want = golden.losses[name as keyof typeof golden.losses];
      assertClose(value, tf.scalar(want.value[0]), 1e-6, "loss");
      assertClose(grad, tf.tensor3d([...want.gradient], predicted().shape), 1e-6, "gradient");
    });
  }

  it("is 0 for what was there, and has the gradient of its values", () => {
    const target = dropped();
    assert.equal(reconstructionLoss(target, target).dataSync()[0], 0);
    assertGradients(
      (x) => reconstructionLoss(x as tf.Tensor3D, tf.zeros([2, 3, 4])),
      [normal("predicted", [2, 3, 4])],
    );
  });
});
