import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { gatherRows, gatherTokens, permuteRows } from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend, withoutReading } from "./numeric.ts";

describe("core/math rows", () => {
  useCpuBackend();

  const x = () => tf.tensor2d([0, 1, 10, 11, 20, 21], [3, 2]);
  const indices = (...rows: number[]) => tf.tensor1d(rows, "int32");

  it("permuteRows puts row order[i] at i, whatever the rank", () => {
    assertClose(permuteRows(x(), Int32Array.of(2, 0, 1)), tf.tensor([20, 21, 0, 1, 10, 11], [3, 2]), 0);
    const wide = normal("x", [4, 2, 3]);
    const order = Int32Array.of(3, 1, 0, 2);
    assertClose(permuteRows(wide, order), tf.gather(wide, [...order]), 0);
    assertClose(permuteRows(tf.tensor1d([5, 6]), Int32Array.of(1, 0)), tf.tensor1d([6, 5]), 0);
  });

  it("permuteRows has the inverse order as its gradient", () => {
    assertGradients((x) => permuteRows(x!, Int32Array.of(3, 0, 1, 2)), [normal("x", [4, 3])]);
  });

  it("permuteRows refuses what is no permutation of the rows", () => {
    for (const order of [[0, 1], [0, 1, 2, 3], [0, 1, 1], [0, 1, 3], [-1, 0, 1], []]) {
      assert.throws(() => permuteRows(x(), Int32Array.from(order)), /no permutation of the rows of \[3,2\]/);
    }
  });

  it("gatherRows takes chosen rows, several times too", () => {
    const got = gatherRows(x(), indices(2, 0, 2, 2));
    assertClose(got, tf.tensor([20, 21, 0, 1, 20, 21, 20, 21], [4, 2]), 0);
    assertClose(
      gatherRows(normal("x", [3, 2, 2]), indices(1)),
      tf.slice(normal("x", [3, 2, 2]), [1], [1]),
      0,
    );
  });

  it("gatherRows sums the gradients of a row that is taken several times, and gives the others none", () => {
    assertGradients((x) => gatherRows(x!, indices(2, 0, 2, 3, 2)), [normal("x", [5, 3])]);
    const dx = tf.grad((x: tf.Tensor) => tf.sum(gatherRows(x, indices(2, 0, 2))))(x());
    assert.deepEqual([...dx.dataSync()], [1, 1, 0, 0, 2, 2]);
  });

  it("gatherTokens takes rows of any of the sequences", () => {
    const tokens = normal<tf.Rank.R3>("x", [2, 3, 2]);
    const flat = tf.reshape(tokens, [6, 2]);
    assertClose(gatherTokens(tokens, indices(4, 0, 4)), tf.gather(flat, [4, 0, 4]), 0);
  });

  it("reads no value", () => {
    const rows = normal<tf.Rank.R2>("x", [4, 3]);
    const chosen = indices(0, 0, 3);
    withoutReading(() =>
      tf.grad((x: tf.Tensor) =>
        tf.sum(tf.square(gatherRows(permuteRows(x, Int32Array.of(3, 0, 1, 2)), chosen))),
      )(rows),
    );
  });
});
