import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { blur } from "../../../plugins/multi-crop/blur.ts";
import { boxRadius } from "../../../plugins/multi-crop/sampling.ts";
import { Random } from "../../../core/random.ts";

/** [n, 3, height, width] */
function noise(n: number, height: number, width: number): tf.Tensor4D {
  const random = new Random(0, "blur.test");
  return tf.tensor4d(
    Float32Array.from({ length: n * 3 * height * width }, () => random.uniform()),
    [n, 3, height, width],
  );
}

/** Three box filters of fractional radius over one row, edges repeated. */
function boxThrice(row: readonly number[], radius: number): number[] {
  const last = row.length - 1;
  const whole = Math.floor(radius);
  let values = [...row];
  for (let pass = 0; pass < 3; pass++) {
    values = values.map((_, i) => {
      let sum = 0;
      for (let d = -whole - 1; d <= whole + 1; d++) {
        const weight = Math.abs(d) <= whole ? 1 : radius - whole;
        sum += weight * values[Math.min(last, Math.max(0, i + d))]!;
      }
      return sum / (2 * radius + 1);
    });
  }
  return values;
}

/** [n, 3, height, width] */
function expected(images: tf.Tensor4D, radii: readonly number[]): tf.Tensor {
  const transpose = (m: readonly (readonly number[])[]) => m[0]!.map((_, j) => m.map((row) => row[j]!));
  const blurred = images.arraySync().map((image, i) =>
    image.map((plane) => {
      const across = plane.map((row) => boxThrice(row, radii[i]!));
      return transpose(transpose(across).map((column) => boxThrice(column, radii[i]!)));
    }),
  );
  return tf.tensor4d(blurred);
}

function check(height: number, width: number, radii: readonly number[]): void {
  tf.tidy(() => {
    const images = noise(radii.length, height, width);
    const radiiTensor = tf.tensor3d([...radii], [radii.length, 1, 1]);
    const output = blur(images, radiiTensor, Math.max(...radii));
    const difference = tf.max(tf.abs(tf.sub(output, expected(images, radii)))).dataSync()[0]!;
    assert.ok(difference < 2e-6, `${height} x ${width}: ${difference}`);
  });
}

describe("blur", () => {
  before(() => tf.setBackend("cpu"));

  it("is three box filters each way with repeated edges, per image, on a side of one matrix", () => {
    check(24, 24, [0, 0.25, 1.56, 3.2]);
  });

  it("is the same in tiles, whether or not the side is a multiple of the tile", () => {
    for (const size of [97, 99, 128, 131]) check(size, 8, [1.56, 0.7]);
    check(8, 133, [1.56, 0.7]);
  });

  it("widens the tiles for a radius that reaches beyond one", () => {
    check(8, 200, [14.5, 2]); // reach 45
    check(12, 12, [14.5]);
  });

  it("keeps an image of radius 0 to the bit", () => {
    const images = noise(2, 100, 100);
    const output = blur(images, tf.tensor3d([0, 1.5], [2, 1, 1]), 1.5);
    const half = images.size / 2;
    assert.deepEqual(output.dataSync().slice(0, half), images.dataSync().slice(0, half));
  });

  it("keeps a constant image constant up to the edges", () => {
    const output = blur(tf.fill<tf.Rank.R4>([1, 3, 100, 40], 0.7), tf.tensor3d([1.5], [1, 1, 1]), 1.5);
    assert.ok(output.dataSync().every((x) => Math.abs(x - 0.7) < 1e-6));
  });

  it("has the variance of the Gaussian", () => {
    for (const sigma of [0.1, 0.5, 1, 1.7, 2, 3.3, 8]) {
      const radius = boxRadius(sigma);
      const row = new Array<number>(121).fill(0);
      row[60] = 1;
      const variance = boxThrice(row, radius).reduce((sum, w, i) => sum + w * (i - 60) ** 2, 0);
      assert.ok(Math.abs(variance - sigma * sigma) < 1e-9, `${sigma}: ${variance}`);
    }
    assert.equal(boxRadius(0), 0);
  });
});
