import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { patchWeights, replaceMasked } from "../../../core/math/index.ts";
import { maskedRows } from "../../../core/trainer/mask-rows.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "./numeric.ts";

const IMAGES = 4;
/** Of four images one has no mask, and one is masked wholly. */
const cells = [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1];

/** As the step gives them; what is left of the capacity is unused. */
function masked(capacity: number, own: readonly number[] = cells) {
  const drawn = maskedRows(own, 1, capacity);
  return {
    cells: tf.tensor2d([...own], [IMAGES, own.length / IMAGES]),
    rows: tf.tensor1d(drawn.map((row) => Math.max(0, row)), "int32"), // prettier-ignore
    used: tf.tensor1d(Float32Array.from(drawn, (row) => Number(row >= 0))),
  };
}

describe("patchWeights", () => {
  useCpuBackend();

  it("share an image's part among its masked patches, and are 0 where a row is unused", () => {
    assertClose(patchWeights(masked(7)), tf.div(tf.tensor1d([2, 2, 1, 1, 1, 1, 4]), 4 * IMAGES), 1e-6);
    // Row 0, which unused rows repeat, is masked: they must not count it again.
    const longer = [2, 2, 1, 1, 1, 1, 4, 0, 0];
    assertClose(patchWeights(masked(9)), tf.div(tf.tensor1d(longer), 4 * IMAGES), 1e-6);
  });

  it("sum to the share of images that have a mask", () => {
    const sum = (...given: Parameters<typeof masked>) =>
      tf.sum(patchWeights(masked(...given))).dataSync()[0]!;
    assert.ok(Math.abs(sum(9) - 3 / 4) < 1e-6, `${sum(9)}`);
    assert.equal(sum(4, new Array<number>(16).fill(0)), 0);
  });
});

describe("replaceMasked", () => {
  useCpuBackend();

  const patches = normal<tf.Rank.R3>("patches", [2, 3, 4]);
  const token = normal<tf.Rank.R2>("token", [1, 4]);
  const drawn = () => tf.tensor2d([[0, 1, 0], [1, 1, 0]]); // prettier-ignore

  it("puts the token where patches are masked, and leaves the others as they are", () => {
    const rows = (x: tf.Tensor) => tf.unstack(tf.reshape(x, [-1, 4]));
    const [own, got] = [rows(patches), rows(replaceMasked(patches, drawn(), token))];
    [0, 1, 0, 1, 1, 0].forEach((cell, i) =>
      assert.deepEqual(got[i]!.dataSync(), cell ? token.dataSync() : own[i]!.dataSync(), `patch ${i}`),
    );
  });

  it("has the gradients of the patches and of the token", () => {
    assertGradients((x, y) => replaceMasked(x as tf.Tensor3D, drawn(), y!), [patches, token]);
  });
});
