import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { overlapCoordinates, overlapSampling, sampleFeatures } from "../../../core/math/index.ts";
import type { SampleWeights } from "../../../core/math/index.ts";
import { readFixture, readFixtureJson } from "../../support/safetensors-fixture.ts";
import { assertClose, assertGradients, normal, withoutReading, useCpuBackend } from "./numeric.ts";

interface GoldenPair {
  readonly id: number;
  readonly rect_q: number[];
  readonly rect_k: number[];
  readonly note: string;
  readonly overlap: boolean;
}

describe("core/math overlap", () => {
  useCpuBackend();

  const golden = readFixture("parity/golden.safetensors");
  const pairs = readFixtureJson<{ grids: GoldenPair[] }>("parity/golden.json").grids;
  const rects = (list: readonly number[][]) => tf.tensor2d(list.map((rect) => [...rect]), [list.length, 5]); // prettier-ignore
  const rectsA = () => rects(pairs.map((pair) => pair.rect_q));
  const rectsB = () => rects(pairs.map((pair) => pair.rect_k));
  const square = (side: number) => ({ rows: side, columns: side });

  /** Per axis [n, g] -> [n, g, g, 2] of (x, y), the layout of the golden grids. */
  const asGrid = ({ x, y }: { x: tf.Tensor2D; y: tf.Tensor2D }) => {
    const [n, side] = x.shape;
    const xs = tf.tile(tf.reshape(x, [n, 1, side]), [1, side, 1]);
    const ys = tf.tile(tf.reshape(y, [n, side, 1]), [1, 1, side]);
    return tf.stack([xs, ys], 3);
  };
  /** Per axis [n, g, tokens] -> the dense [g * g, tokens * tokens] matrix of pair i. */
  const dense = ({ x, y }: SampleWeights, i: number) => {
    const [, side, rows] = y.shape;
    const columns = x.shape[2];
    const byRow = tf.reshape(tf.slice(y, [i, 0, 0], [1, -1, -1]), [side, 1, rows, 1]);
    const byColumn = tf.reshape(tf.slice(x, [i, 0, 0], [1, -1, -1]), [1, side, 1, columns]);
    return tf.reshape(tf.mul(byRow, byColumn), [side * side, rows * columns]);
  };

  for (const side of [13, 6, 5]) {
    it(`places ${side} x ${side} points as the golden grids of ${pairs.length} pairs`, () => {
      const { a, b, hit } = overlapCoordinates(rectsA(), rectsB(), side);
      const [gridA, gridB] = [asGrid(a), asGrid(b)];
      for (const { id, note } of pairs) {
        const at = (grid: tf.Tensor) =>
          tf.reshape(tf.slice(grid, [id, 0, 0, 0], [1, -1, -1, -1]), [side, side, 2]);
        assertClose(at(gridA), golden(`grid.${id}.${side}.q`), 3e-7, `grid q of pair ${id}, ${note}`);
        assertClose(at(gridB), golden(`grid.${id}.${side}.k`), 3e-7, `grid k of pair ${id}, ${note}`);
      }
      assert.deepEqual([...hit.dataSync()], pairs.map(({ overlap }) => Number(overlap))); // prettier-ignore
    });
  }

  it("weighs tokens as the golden sampling matrices", () => {
    const six = overlapSampling(rectsA(), rectsB(), { side: 6, gridA: square(6), gridB: square(14) });
    for (const id of [0, 1, 2, 3, 4, 8]) {
      if (pairs[id]!.overlap) assertClose(dense(six.a, id), golden(`sampling.${id}.6to6.q`), 3e-6, `q of ${id}`);
      else assert.ok(dense(six.a, id).dataSync().every((weight) => weight === 0)); // prettier-ignore
    }
    for (const id of [0, 2])
      assertClose(dense(six.b, id), golden(`sampling.${id}.14to6.k`), 3e-6, `k of ${id}`);
    const wide = overlapSampling(rectsA(), rectsB(), { side: 13, gridA: square(14), gridB: square(14) });
    assertClose(dense(wide.a, 1), golden("sampling.1.14to13.q"), 3e-6, "q of 1 at 13");
  });

  it("halves the weights at a crop's edge and quarters them in its corners", () => {
    const whole = rects([[10, 5, 60, 70, 0]]);
    const { a } = overlapSampling(whole, whole, { side: 3, gridA: square(4), gridB: square(4) });
    const sums = Float32Array.of(0.25, 0.5, 0.25, 0.5, 1, 0.5, 0.25, 0.5, 0.25);
    assertClose(tf.sum(dense(a, 0), 1), { values: sums, shape: [9] }, 1e-6);
  });

  it("goes on with the outermost tokens beyond their middle with padding border, and is the same elsewhere", () => {
    const grids = { side: 6, gridA: { rows: 3, columns: 1 }, gridB: square(4) };
    const zeros = overlapSampling(rectsA(), rectsB(), grids);
    const border = overlapSampling(rectsA(), rectsB(), { ...grids, padding: "border" });
    assert.deepEqual([...border.hit.dataSync()], [...zeros.hit.dataSync()], "the same pairs overlap");
    const hits = tf.reshape(zeros.hit, [-1, 1]);
    let dimmed = 0;
    for (const [faded, whole] of [
      [zeros.a.y, border.a.y],
      [zeros.a.x, border.a.x],
      [zeros.b.y, border.b.y],
      [zeros.b.x, border.b.x],
    ] as const) {
      const sums = tf.sum(faded, 2);
      dimmed += tf.sum(tf.mul(tf.sub(1, sums), hits)).dataSync()[0]!;
      assertClose(
        tf.sum(whole, 2),
        tf.mul(hits, tf.onesLike(sums)),
        1e-6,
        "weights sum to 1 where crops overlap",
      );
      // Dimmed points have one token alone: its weight is what is missing.
      const filled = tf.mul(faded, tf.expandDims(tf.div(hits, tf.maximum(sums, 1e-9)), 2));
      assertClose(whole, filled, 1e-6, "the weights of zeros, made to sum to 1");
    }
    assert.ok(dimmed > 1, `some points lie in an outer half token: ${dimmed}`);
  });

  it("a flip mirrors the columns' weights and nothing else", () => {
    const [plain, flipped] = [rects([[20, 30, 40, 24, 0]]), rects([[20, 30, 40, 24, 1]])];
    const other = rects([[30, 20, 50, 30, 0]]);
    const options = { side: 5, gridA: square(6), gridB: square(4) };
    const a = overlapSampling(plain, other, options);
    const b = overlapSampling(flipped, other, options);
    assertClose(b.a.x, tf.reverse(a.a.x, 2), 1e-6);
    assertClose(b.a.y, a.a.y, 0);
    assertClose(b.b.x, a.b.x, 0);
  });

  it("samples features as the dense matrix does, on oblong grids too", () => {
    const chosen = [1, 2, 3, 7, 22];
    const pick = (x: tf.Tensor2D) => tf.gather(x, chosen);
    const grids = { side: 4, gridA: { rows: 3, columns: 5 }, gridB: square(4) };
    const { a } = overlapSampling(pick(rectsA()), pick(rectsB()), grids);
    const features = normal<tf.Rank.R3>("features", [5, 15, 2]);
    const sampled = sampleFeatures(features, a);
    chosen.forEach((_, i) => {
      const mine = tf.reshape(tf.slice(features, [i, 0, 0], [1, -1, -1]), [15, 2]);
      const got = tf.reshape(tf.slice(sampled, [i, 0, 0], [1, -1, -1]), [16, 2]);
      const expected = tf.matMul(dense(a, i), mine as tf.Tensor2D);
      assertClose(tf.add(got, 1), tf.add(expected, 1), 1e-6, `pair ${chosen[i]}`);
    });
    assertGradients((f) => sampleFeatures(f as tf.Tensor3D, a), [features]);
  });

  it("samples each image for several crops as one crop at a time does, gradients included", () => {
    const first = [1, 2, 3];
    const second = [7, 22, 4];
    const options = { side: 4, gridA: { rows: 3, columns: 5 }, gridB: square(4) };
    const weightsOf = (pairs: number[]) =>
      overlapSampling(tf.gather(rectsA(), pairs), tf.gather(rectsB(), pairs), options).a;
    // The crops of an image lie side by side: image 0 for 1 and 7, image 1 for 2 and 22 …
    const both = weightsOf(first.flatMap((pair, i) => [pair, second[i]!]));
    const features = normal<tf.Rank.R3>("features", [3, 15, 2]);
    const sampled = sampleFeatures(features, both);
    assert.deepEqual(sampled.shape, [6, 16, 2]);
    [first, second].forEach((pairs, k) => {
      const own = tf.gather(sampled, [k, 2 + k, 4 + k]);
      assertClose(own, sampleFeatures(features, weightsOf(pairs)), 1e-6, `crop ${k}`);
    });

    const dy = normal("dy", [6, 16, 2]);
    const gradient = (weights: SampleWeights, dy: tf.Tensor) =>
      tf.grad((f) => tf.sum(tf.mul(sampleFeatures(f as tf.Tensor3D, weights), dy)))(features);
    const separately = [first, second].map((pairs, k) =>
      gradient(weightsOf(pairs), tf.gather(dy, [k, 2 + k, 4 + k])),
    );
    assertClose(gradient(both, dy), tf.addN(separately), 1e-6, "gradient");
    assertGradients((f) => sampleFeatures(f as tf.Tensor3D, both), [features]);
  });

  it("reads no value", () => {
    const [a, b] = [rectsA(), rectsB()];
    const features = normal<tf.Rank.R3>("features", [pairs.length, 16, 2]);
    withoutReading(() =>
      tf.grad((f: tf.Tensor) => {
        const options = { side: 5, gridA: square(4), gridB: square(4) };
        return tf.sum(tf.square(sampleFeatures(f as tf.Tensor3D, overlapSampling(a, b, options).a)));
      })(features),
    );
  });

  it("refuses crops, sides and weights that do not fit", () => {
    const crop = rects([[0, 0, 9, 9, 0]]);
    assert.throws(() => overlapCoordinates(crop, tf.zeros([2, 5]), 5), /both be \[n, 5\]/);
    assert.throws(() => overlapCoordinates(crop, crop, 1), /at least 2/);
    const { a } = overlapSampling(crop, crop, { side: 3, gridA: square(4), gridB: square(4) });
    assert.throws(() => sampleFeatures(tf.zeros([1, 9, 2]), a), /\[1,9,2\] features/);
    // As many crops for every image.
    assert.throws(() => sampleFeatures(tf.zeros([2, 16, 2]), a), /\[2,16,2\] features/);
    const { y, x } = overlapSampling(rectsA(), rectsB(), { side: 3, gridA: square(4), gridB: square(4) }).a;
    assert.throws(() => sampleFeatures(tf.zeros([1, 16, 2]), { y, x: a.x }), /weights y .*, x \[1,3,4\]/);
    assert.throws(() => sampleFeatures(tf.zeros([7, 16, 2]), { y, x }), /\[7,16,2\] features/);
  });
});
