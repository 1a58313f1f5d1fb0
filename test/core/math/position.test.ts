import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { bicubicMatrix, interpolatePositions } from "../../../core/math/index.ts";
import { readFixture } from "../../support/safetensors-fixture.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "./numeric.ts";

describe("core/math position interpolation", () => {
  useCpuBackend();

  const golden = readFixture("parity/golden.safetensors");
  const square = (side: number) => ({ rows: side, columns: side });
  /** [1, C, side, side] as PyTorch has it -> [1, side * side, C] */
  const channelsLast = (name: string) => {
    const { values, shape } = golden(name);
    const [, channels, rows, columns] = shape as [number, number, number, number];
    const image = tf.transpose(tf.tensor4d(values, [1, channels, rows, columns]), [0, 2, 3, 1]);
    return tf.reshape(image, [1, rows * columns, channels]) as tf.Tensor3D;
  };

  for (const [from, to] of [
    [14, 12],
    [14, 6],
    [14, 7],
    [4, 2],
  ] as const) {
    // prettier-ignore
    it(`is PyTorch's bicubic from ${from} to ${to}`, () => {
      const matrix = tf.tensor2d(bicubicMatrix(from, to), [to, from]);
      assertClose(matrix, golden(`bicubic.${from}to${to}.matrix1d`), 2e-6, "matrix");
      const output = interpolatePositions(channelsLast(`bicubic.${from}to${to}.in`), square(from), square(to));
      assertClose(output, channelsLast(`bicubic.${from}to${to}.out`), 2e-6, "positions");
    });
  }

  it("returns the native grid as it is, the very tensor", () => {
    const positions = normal<tf.Rank.R3>("positions", [1, 16, 3]);
    assert.equal(interpolatePositions(positions, square(4), square(4)), positions);
    assert.deepEqual([...bicubicMatrix(2, 2)], [1, 0, 0, 1]);
  });

  it("takes the scale of the two sizes where it is asked to", () => {
    // The kernel with A = -0.75 at distances of 1.5 and 0.5; an end stands for what lies beyond it.
    const [far, near] = [-0.09375, 0.59375];
    const halves = [
      [far + near, near, far, 0],
      [0, far, near, near + far],
    ].flat();
    assert.deepEqual([...bicubicMatrix(4, 2, 2 / 4)], halves);
  });

  it("resamples rows and columns on their own", () => {
    const positions = normal<tf.Rank.R3>("positions", [1, 12, 2]);
    const output = interpolatePositions(positions, { rows: 3, columns: 4 }, { rows: 5, columns: 2 });
    const rows = tf.tensor2d(bicubicMatrix(3, 5), [5, 3]);
    const columns = tf.tensor2d(bicubicMatrix(4, 2), [2, 4]);
    for (const channel of [0, 1]) {
      const plane = (x: tf.Tensor3D, r: number, c: number) =>
        tf.reshape(tf.slice(x, [0, 0, channel], [1, -1, 1]), [r, c]) as tf.Tensor2D;
      const expected = tf.matMul(tf.matMul(rows, plane(positions, 3, 4)), tf.transpose(columns));
      assertClose(plane(output, 5, 2), expected, 1e-6);
    }
  });

  it("has the gradient of the positions", () => {
    assertGradients(
      (x) => interpolatePositions(x as tf.Tensor3D, { rows: 3, columns: 4 }, { rows: 5, columns: 2 }),
      [normal("positions", [1, 12, 2])],
    );
  });

  it("refuses positions of another grid", () => {
    assert.throws(
      () => interpolatePositions(tf.zeros([1, 15, 2]), square(4), square(2)),
      /15 positions are no 4 x 4/,
    );
  });
});
